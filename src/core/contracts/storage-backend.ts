import type { Readable } from 'node:stream';
import { token } from '../token.js';

/** Bytes that have been written, but are not yet under their final key. */
export interface StagedObject {
  readonly stagedKey: string;
  readonly sizeBytes: number;
  /** Kept in memory, not written anywhere yet: becoming final writes it. Nobody changes it meanwhile. */
  readonly content?: Uint8Array;
}

/**
 * Where a stream's bytes go while it runs. Exactly one of `finish` and `abort` ends it. The
 * buffers handed to `write` may be reused once its promise has settled.
 */
export interface StagingSink {
  /** Appends a batch; settles once the batch may be reused. */
  write(batch: Buffer): Promise<void>;
  /** Makes the bytes durable and closes. */
  finish(): Promise<StagedObject>;
  /** Drops the bytes. Never throws. */
  abort(): Promise<void>;
}

/** What a backend knows about an object without reading it. */
export interface ObjectInfo {
  readonly key: string;
  readonly sizeBytes: number;
  readonly modifiedAt: Date;
}

/**
 * One object, open for positional reads: what serving downloads needs, without a stream's copies
 * and per-chunk costs. An object that is deleted or replaced meanwhile is read as it was opened, or
 * the read throws; it never gives other bytes.
 */
export interface ObjectReader {
  /**
   * Reads from `position` of the object into `buffer` until that is full or the object ends, and
   * gives how many bytes it put there. Fewer than the buffer takes means that the object ends.
   * The buffer is the reader's until the promise has settled. Reads may go on side by side.
   */
  read(buffer: Buffer, position: number): Promise<number>;
  /** Lets go of the object. Called once, with no read under way. Never throws. */
  close(): Promise<void>;
}

/**
 * What the keys of records begin with: objects that the server writes about itself, such as which
 * branches a dataset has. No row of `files` names them and no upload ever comes to lie there, so
 * what is read there can be trusted as far as the storage can. Collecting passes them by.
 */
export const RECORDS = 'records/';

/**
 * Where bytes lie. Keys are relative, `/`-separated and checked: none can leave the root.
 * Every backend passes `test/conformance/storage-backend.ts`.
 */
export interface StorageBackend {
  /** What `files.storage_type` says for this backend, such as `local`. */
  readonly type: string;

  /** Opens a staging place under a fresh key. */
  openStaging(): Promise<StagingSink>;

  /**
   * Stages small contents that are in memory already, all of them or none. They may stay there until
   * they become final, as contents, not as records: what is then written and synced together costs a
   * fraction of what a file each does.
   */
  stageAll(contents: readonly Uint8Array[]): Promise<StagedObject[]>;

  /**
   * The key under which `finalize` will put staged bytes: known beforehand, so that the row can name
   * it before the bytes are there.
   */
  finalKey(staged: StagedObject, sha256: string): string;

  /**
   * Makes staged bytes final under the key that belongs to their content, durably (name and
   * bytes), replacing what may lie there, and gives the key that `files.file_path` records.
   */
  finalize(staged: StagedObject, sha256: string): Promise<string>;

  /**
   * Makes staged bytes final under a key that begins with `records/`, durably and in one step:
   * whoever reads the key finds what was there before, or all of this.
   * @throws ObjectMissing where nothing was staged
   */
  finalizeRecord(staged: StagedObject, key: string): Promise<void>;

  /** Drops staged bytes. Nothing there is fine. */
  discard(stagedKey: string): Promise<void>;

  /**
   * Reads bytes [start, end) of an object, or all of it. The caller destroys the stream.
   * @throws ObjectMissing
   */
  open(key: string, range?: { start: number; end: number }): Promise<Readable>;

  /**
   * Opens an object for positional reads. The caller closes the reader.
   * @throws ObjectMissing
   */
  openReader(key: string): Promise<ObjectReader>;

  /**
   * Where an object lies on this machine's own disk, for another process that reads it in place; null
   * where it does not. Whoever is told never writes there. Backends of remote stores leave it out.
   * @throws ObjectMissing
   */
  localPath?(key: string): Promise<string | null>;

  /** Deletes an object durably; `false` when nothing was there. */
  delete(key: string): Promise<boolean>;

  exists(key: string): Promise<boolean>;

  /** @throws ObjectMissing */
  info(key: string): Promise<ObjectInfo>;

  /** Streams what lies under a prefix, in no particular order, however much it is. */
  list(prefix: string): AsyncIterable<ObjectInfo>;

  /** Throws unless bytes can be written now: what readiness asks. */
  checkWritable(): Promise<void>;
}

/** Bound by a factory from `STORAGE_URL`. */
export const STORAGE_BACKEND = token<StorageBackend>('STORAGE_BACKEND');

/** The backend has no object under that key. */
export class ObjectMissing extends Error {
  constructor(readonly key: string) {
    super(`No object under ${key}`);
    this.name = 'ObjectMissing';
  }
}
