/**
 * Makes a new database from the storage alone: `npm run rebuild -- --data-dir ./data`. The database
 * has to be empty, and no server may run on it. Killed half-way, it is run again and goes on.
 *
 * Exits with 0 when everything is back, 1 when the storage lacks something, 2 when it could not run.
 */
import { parseArgs } from 'node:util';
import { Client } from 'pg';
import { DataSource } from 'typeorm';
import { AdminBootstrap } from '../src/access/admin-bootstrap.js';
import { CannotStart } from '../src/core/cannot-start.js';
import { readConfig, type Config } from '../src/platform/config/config.js';
import { lockDataDir } from '../src/platform/database/data-dir-lock.js';
import { openDatabase } from '../src/platform/database/open-database.js';
import { postgresOptions } from '../src/platform/database/postgres-options.js';
import { TypeOrmUnitOfWork } from '../src/platform/database/unit-of-work.js';
import { describeRebuild, isWhole } from '../src/rebuild/rebuild-text.js';
import { Rebuild, type RebuildReport } from '../src/rebuild/rebuild.js';
import { createStorageBackend } from '../src/storage/backend/backend.factory.js';

const USAGE = `Usage: npm run rebuild -- [options]

Makes a new, empty database's datasets, versions, branches and tags from the storage.

  --data-dir <path>       the server's DATA_DIR (default: the variable, or ./data)
  --database-url <url>    an outside PostgreSQL (default: DATABASE_URL, or an embedded one in the
                          data directory)
  --storage-url <url>     where bytes lie (default: STORAGE_URL, or the data directory)
  --no-hash               believe the names of contents instead of reading every byte
  --origin <uuid>         whose records count, where several databases have written some
  --accept-losses         come to an end although the storage lacks something
  --help                  print this`;

/** Names the lock that keeps two rebuilds off one database: any number, but always this one. */
const REBUILD_LOCK = 7_627_178_302;
const POOL_SIZE = 8;
const PROGRESS_MS = { terminal: 100, log: 5_000 };

type Options = ReturnType<typeof readOptions>;

function readOptions() {
  const { values } = parseArgs({
    options: {
      'data-dir': { type: 'string' },
      'database-url': { type: 'string' },
      'storage-url': { type: 'string' },
      hash: { type: 'boolean', default: true },
      origin: { type: 'string' },
      'accept-losses': { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
    allowNegative: true,
  });
  return values;
}

/** Tells how far it is: over one line of a terminal, or as a line now and then. */
function progressTeller(): { tell: (message: string) => void; end: () => void } {
  const isTerminal = process.stderr.isTTY;
  const pauseMs = isTerminal ? PROGRESS_MS.terminal : PROGRESS_MS.log;
  let toldAt = -Infinity;
  return {
    tell(message) {
      if (performance.now() - toldAt < pauseMs) return;
      toldAt = performance.now();
      process.stderr.write(isTerminal ? `\r\u001b[2K${message}` : `${message}\n`);
    },
    end: () => void (isTerminal && process.stderr.write('\r\u001b[2K')),
  };
}

async function rebuild(
  options: Options,
  config: Config,
  signal: AbortSignal,
): Promise<{ report: RebuildReport; adminKey: string | null }> {
  const closers: (() => Promise<unknown>)[] = [];
  try {
    if (!config.DATABASE_URL) {
      const lock = await lockDataDir(config.DATA_DIR);
      closers.push(() => lock.release());
    }
    const database = await openDatabase(config, {
      info: () => undefined,
      warn: console.error,
      error: console.error,
    });
    closers.push(() => database.close());
    const lock = new Client({ connectionString: database.url, application_name: 'varve rebuild' });
    lock.on('error', () => undefined);
    await lock.connect();
    closers.push(() => lock.end());
    const { rows } = await lock.query<{ taken: boolean }>(
      'SELECT pg_try_advisory_lock($1) AS taken',
      [REBUILD_LOCK],
    );
    if (!rows[0]?.taken) throw new CannotStart('Another rebuild works on this database.');
    const onPoolError = (error: Error) => console.error(error.message);
    const dataSource = await new DataSource(
      postgresOptions({ url: database.url, poolSize: POOL_SIZE, onPoolError }),
    ).initialize();
    closers.push(() => dataSource.destroy());
    const unitOfWork = new TypeOrmUnitOfWork(dataSource, (error) => console.error(error));
    const backend = await createStorageBackend(config.STORAGE_URL, config);
    const { tell, end } = progressTeller();
    closers.push(async () => end());
    const report = await new Rebuild(unitOfWork, backend).run({
      hash: options.hash,
      acceptLosses: options['accept-losses'],
      origin: options.origin ?? null,
      signal,
      progress: tell,
    });
    // Users come back without keys: without this nobody could make them new ones.
    const adminKey = report.finished
      ? await new AdminBootstrap(unitOfWork, config).ensureAdministrator()
      : null;
    return { report, adminKey };
  } finally {
    for (const close of closers.toReversed()) await close();
  }
}

const stop = new AbortController();
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.on(signal, () => {
    if (stop.signal.aborted) process.exit(2);
    stop.abort(new CannotStart('Stopped half-way; run it again and it goes on.'));
  });
}

try {
  const options = readOptions();
  if (options.help) {
    console.log(USAGE);
  } else {
    const config = readConfig({
      ...process.env,
      ...(options['data-dir'] && { DATA_DIR: options['data-dir'] }),
      ...(options['database-url'] && { DATABASE_URL: options['database-url'] }),
      ...(options['storage-url'] && { STORAGE_URL: options['storage-url'] }),
    });
    const { report, adminKey } = await rebuild(options, config, stop.signal);
    console.log(describeRebuild(report));
    if (adminKey) {
      console.log(`\nAdministrator's API key, shown only this once:\n\n  ${adminKey}`);
    }
    process.exitCode = isWhole(report) ? 0 : 1;
  }
} catch (error) {
  const isKnown = error instanceof CannotStart || error instanceof TypeError;
  console.error(isKnown ? error.message : (error as Error).stack);
  process.exitCode = 2;
}
