import { CannotStart } from '../../core/cannot-start.js';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/** Another server works in the data directory. */
export class DataDirInUse extends CannotStart {
  override readonly name = 'DataDirInUse';

  constructor(
    readonly dataDir: string,
    readonly holder: number | null,
  ) {
    super(
      `The data directory ${dataDir} is in use by another Varve server` +
        `${holder === null ? '' : ` (process ${holder})`}. Stop that one first, or choose ` +
        'another directory with DATA_DIR.',
    );
  }
}

/** The data directory cannot be locked: it is not writable, or on a file system without locks. */
export class DataDirUnusable extends CannotStart {
  override readonly name = 'DataDirUnusable';
}

export interface DataDirLock {
  /** Lets the directory go; harmless when repeated. */
  release(): Promise<void>;
}

/** Keeps locks from being collected, and with that released, while nobody looks. */
const held = new Set<DatabaseSync>();

/**
 * Takes a data directory, which is made where there is none, for this process alone.
 *
 * The lock is the operating system's, on a file: it ends with the process however that ends, so
 * that there is nothing to clean up, and neither a recycled pid nor a zombie holds it. SQLite is
 * how Node takes such a lock on every platform; no database is ever written.
 *
 * @throws DataDirInUse, DataDirUnusable
 */
export async function lockDataDir(dataDir: string): Promise<DataDirLock> {
  const pidFile = path.join(dataDir, 'varve.pid');
  let lock: DatabaseSync;
  try {
    await mkdir(dataDir, { recursive: true });
    lock = new DatabaseSync(path.join(dataDir, 'varve.lock'), { timeout: 0 });
  } catch (cause) {
    throw unusable(dataDir, cause);
  }
  try {
    lock.exec('BEGIN EXCLUSIVE');
  } catch (cause) {
    lock.close();
    if (!isBusy(cause)) throw unusable(dataDir, cause);
    throw new DataDirInUse(dataDir, await readPid(pidFile));
  }
  held.add(lock);
  await writeFile(pidFile, `${process.pid}\n`);
  return {
    async release() {
      if (!held.delete(lock)) return;
      await rm(pidFile, { force: true });
      lock.close();
    },
  };
}

const SQLITE_BUSY = 5;

function isBusy(error: unknown): boolean {
  return (error as { errcode?: number }).errcode === SQLITE_BUSY;
}

function unusable(dataDir: string, cause: unknown): DataDirUnusable {
  return new DataDirUnusable(
    `The data directory ${dataDir} cannot be locked (${(cause as Error).message}): this user must ` +
      'be able to write there. Choose another one with DATA_DIR.',
    { cause },
  );
}

async function readPid(pidFile: string): Promise<number | null> {
  const pid = Number.parseInt(await readFile(pidFile, 'utf8').catch(() => ''), 10);
  return Number.isNaN(pid) ? null : pid;
}
