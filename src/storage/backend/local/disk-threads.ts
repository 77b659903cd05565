import { platform, release } from 'node:os';
import { GroupCommit } from '../../../platform/database/group-commit.js';
import { WorkerThread, workerProgram } from '../../worker-thread.js';
import { DIRECTORY_MODE, UNSYNCABLE } from './durable-directories.js';

/** Where a file is to be moved, below a root that is there. */
interface Way {
  readonly root: string;
  /** Where it lies; what is not written yet goes past here only where something is in its place. */
  readonly from: string;
  readonly to: string;
}

/** A file's way to where it stays. */
export interface Move extends Way {
  /** What it is to hold, where that is in memory and not at `from` yet. */
  readonly content: Uint8Array | null;
}

/** The same, with its content among those of others. */
export interface SizedMove extends Way {
  readonly sizeBytes: number | null;
}

/** What the disk's threads are asked. */
export type DiskRequest =
  | { readonly step: 'write'; readonly file: string; readonly bytes: Uint8Array<ArrayBuffer> }
  | {
      readonly step: 'move';
      readonly moves: readonly SizedMove[];
      /** Their contents, one after the other. */
      readonly bytes: Uint8Array<ArrayBuffer>;
    }
  | { readonly step: 'sync'; readonly kind: SyncedKind; readonly paths: readonly string[] };

type SyncedKind = 'file' | 'directory';

/** An error of the operating system, on its way between threads. */
export interface DiskFailure {
  readonly code: string | null;
  readonly message: string;
}

export interface DiskAnswer {
  /** For each file that was to be moved, or for all of the request; null where all went well. */
  readonly failures: readonly (DiskFailure | null)[];
  /** The files, and then the directories, that have to be synced for it to last. */
  readonly unsynced: Readonly<Record<SyncedKind, readonly string[]>>;
}

/** What a thread is started with. */
export interface DiskSettings {
  readonly fileMode: number;
  readonly directoryMode: number;
  readonly unsyncable: readonly string[];
  /** Whether syncing the whole file system tells of everything that could not be written. */
  readonly syncsFileSystem: boolean;
}

export const FILE_MODE = 0o640;

/** So much is synced at once: what a journal is asked together, it does in one go. */
const MAX_WRITERS = 8;

/** One group after the other: what one has made, the next takes for durable. */
const MOVES = { items: 4096, groups: 1 };

/** A thread that nobody has asked for anything for so long gives its memory back. */
const IDLE_MS = 10_000;

const SETTINGS: DiskSettings = {
  fileMode: FILE_MODE,
  directoryMode: DIRECTORY_MODE,
  unsyncable: UNSYNCABLE,
  // syncfs(2) tells of failed writes since Linux 5.8.
  syncsFileSystem: platform() === 'linux' && isAtLeast(release(), 5, 8),
};

function isAtLeast(version: string, major: number, minor: number): boolean {
  const [ofMajor = 0, ofMinor = 0] = version.split('.').map(Number);
  return ofMajor > major || (ofMajor === major && ofMinor >= minor);
}

class DiskThread extends WorkerThread<DiskRequest, DiskAnswer> {
  private readonly stopWhenIdle = setTimeout(() => {
    if (this.load === 0) void this.stop();
    else this.stopWhenIdle.refresh();
  }, IDLE_MS).unref();

  constructor() {
    super('disk', workerProgram('disk.worker', import.meta.url), SETTINGS);
  }

  override ask(request: DiskRequest, handedOver?: ArrayBuffer[]): Promise<DiskAnswer> {
    this.stopWhenIdle.refresh();
    return super.ask(request, handedOver);
  }
}

/**
 * The process's threads that do to the disk what would take many steps from here: each writes a
 * small file whole, one moves many files at once. They are started as they are needed.
 */
export class DiskThreads {
  private readonly writers: DiskThread[] = [];
  private mover: DiskThread | null = null;
  private readonly moves = new GroupCommit<Move, void>((group) => this.moveGroup(group), MOVES);

  /**
   * Writes a new file durably; where that fails, it is not there.
   * @param bytes the thread's from here on
   */
  async write(file: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    const request: DiskRequest = { step: 'write', file, bytes };
    const { failures } = await this.chooseWriter().ask(request, [bytes.buffer]);
    throwFirst(failures);
  }

  /**
   * Renames a file into a directory that is made where there is none, or writes it there, where it is
   * in memory; durable when it resolves.
   */
  move(one: Move): Promise<void> {
    return this.moves.submit(one);
  }

  private async moveGroup(moves: readonly Move[]): Promise<PromiseSettledResult<void>[]> {
    if (!this.mover?.isAlive) this.mover = new DiskThread();
    const bytes = concatenated(moves);
    const sized = moves.map(({ root, from, to, content }): SizedMove => {
      return { root, from, to, sizeBytes: content && content.length };
    });
    const request: DiskRequest = { step: 'move', moves: sized, bytes };
    const { failures, unsynced } = await this.mover.ask(request, [bytes.buffer]);
    try {
      // Side by side: a journal writes down in one go what it is asked to together.
      await Promise.all([
        this.syncAll('file', unsynced.file),
        this.syncAll('directory', unsynced.directory),
      ]);
    } catch (error) {
      // The mover takes these directories for durable; the next one will look again.
      await this.mover.stop();
      throw error;
    }
    return failures.map((failure) =>
      failure
        ? { status: 'rejected', reason: asError(failure) }
        : { status: 'fulfilled', value: undefined },
    );
  }

  /** Syncs side by side: one after the other, each would wait for the disk alone. */
  private async syncAll(kind: SyncedKind, paths: readonly string[]): Promise<void> {
    const shareSize = Math.ceil(paths.length / MAX_WRITERS);
    const shares: Promise<DiskAnswer>[] = [];
    for (let at = 0; at < paths.length; at += shareSize) {
      const share = paths.slice(at, at + shareSize);
      shares.push(this.chooseWriter().ask({ step: 'sync', kind, paths: share }));
    }
    for (const { failures } of await Promise.all(shares)) throwFirst(failures);
  }

  private chooseWriter(): DiskThread {
    const living = this.writers.filter((thread) => thread.isAlive);
    this.writers.splice(0, this.writers.length, ...living);
    const idlest = living.toSorted((a, b) => a.load - b.load)[0];
    if (idlest && (idlest.load === 0 || living.length >= MAX_WRITERS)) return idlest;
    const thread = new DiskThread();
    this.writers.push(thread);
    return thread;
  }
}

/** What moves bring along, in memory of its own, which another thread can take over. */
function concatenated(moves: readonly Move[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(moves.reduce((sum, { content }) => sum + (content?.length ?? 0), 0));
  let at = 0;
  for (const { content } of moves) {
    if (!content) continue;
    bytes.set(content, at);
    at += content.length;
  }
  return bytes;
}

function throwFirst(failures: DiskAnswer['failures']): void {
  for (const failure of failures) if (failure) throw asError(failure);
}

function asError({ code, message }: DiskFailure): Error {
  return Object.assign(new Error(message), code === null ? {} : { code });
}
