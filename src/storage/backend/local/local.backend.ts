import { CannotStart } from '../../../core/cannot-start.js';
import { randomUUID } from 'node:crypto';
import { constants, type Dir } from 'node:fs';
import { lstat, mkdir, open, opendir, realpath, unlink } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import {
  ObjectMissing,
  type ObjectInfo,
  type ObjectReader,
  type StagedObject,
  type StagingSink,
  type StorageBackend,
} from '../../../core/contracts/storage-backend.js';
import { DiskThreads } from './disk-threads.js';
import { DurableDirectories } from './durable-directories.js';
import { LocalObjectReader } from './local-object.reader.js';
import { LocalStagingSink } from './local-staging.sink.js';
import {
  ARTIFACTS,
  isObjectKey,
  keyOfContent,
  pathOfKey,
  pathOfRecordKey,
  pathOfStagedKey,
  RECORDS_FOLDER,
  STAGING,
} from './object-key.js';
import { asStorageError, codeOf } from './system-errors.js';

const diskThreads = new DiskThreads();

/** A stream off the disk is fastest in steps of this size. */
const READ_BYTES = 1024 * 1024;

/** The codes with which a path turns out to hold no object: nothing there, or no plain file. */
const NOTHING_THERE = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', 'EISDIR']);

/** The staging folder and the final one lie on different file systems. */
export class StorageLayoutBroken extends CannotStart {
  override readonly name = 'StorageLayoutBroken';
}

/**
 * Objects as files below one directory: `staging/<random>` while they arrive, then
 * `artifacts/ab/cd/<sha256>` or a key under `records/`, moved there by one atomic rename. Small
 * contents that are in memory are written to where they stay, before any row names them.
 */
export class LocalBackend implements StorageBackend {
  readonly type = 'local';

  private constructor(
    private readonly root: string,
    private readonly directories: DurableDirectories,
  ) {}

  /**
   * Opens, and makes where it is missing, the storage below a directory.
   * @throws StorageLayoutBroken where a rename could not make bytes final
   */
  static async open(directory: string): Promise<LocalBackend> {
    await mkdir(directory, { recursive: true });
    const root = await realpath(directory);
    const directories = new DurableDirectories(root);
    const [staging, artifacts] = [path.join(root, STAGING), path.join(root, ARTIFACTS)];
    for (const folder of [staging, artifacts]) {
      await directories.ensure(folder).catch((error: unknown) => {
        if (codeOf(error) !== 'ENOTDIR') throw error;
        throw new StorageLayoutBroken(`${folder} is a link or a file; it must be a directory.`);
      });
    }
    if ((await lstat(staging)).dev !== (await lstat(artifacts)).dev) {
      throw new StorageLayoutBroken(
        `${staging} and ${artifacts} lie on different file systems; put both on one.`,
      );
    }
    return new LocalBackend(root, directories);
  }

  async openStaging(): Promise<StagingSink> {
    const key = `${STAGING}/${randomUUID()}`;
    return new LocalStagingSink(diskThreads, pathOfKey(this.root, key), key);
  }

  stageAll(contents: readonly Uint8Array[]): Promise<StagedObject[]> {
    // Written straight to where they stay: a way through staging costs as much again.
    return Promise.resolve(
      contents.map((content) => {
        return { stagedKey: `${STAGING}/${randomUUID()}`, sizeBytes: content.length, content };
      }),
    );
  }

  finalKey(_staged: StagedObject, sha256: string): string {
    return keyOfContent(sha256);
  }

  async finalize(staged: StagedObject, sha256: string): Promise<string> {
    const key = keyOfContent(sha256);
    await this.move(staged, pathOfKey(this.root, key));
    return key;
  }

  finalizeRecord(staged: StagedObject, key: string): Promise<void> {
    return this.move(staged, pathOfRecordKey(this.root, key));
  }

  async discard(stagedKey: string): Promise<void> {
    await unlink(pathOfStagedKey(this.root, stagedKey)).catch((error: unknown) => {
      if (codeOf(error) !== 'ENOENT') throw error;
    });
  }

  async open(key: string, range?: { start: number; end: number }): Promise<Readable> {
    const file = await this.openFile(key);
    if (range && range.start >= range.end) {
      await file.close();
      return Readable.from([]);
    }
    return file.createReadStream({
      highWaterMark: READ_BYTES,
      ...(range && { start: range.start, end: range.end - 1 }),
    });
  }

  async openReader(key: string): Promise<ObjectReader> {
    return new LocalObjectReader(await this.openFile(key));
  }

  async localPath(key: string): Promise<string> {
    if (!(await this.look(key))) throw new ObjectMissing(key);
    return pathOfKey(this.root, key);
  }

  async delete(key: string): Promise<boolean> {
    const filePath = pathOfKey(this.root, key);
    const directory = path.dirname(filePath);
    try {
      await this.directories.check(directory);
      await unlink(filePath);
      await this.directories.sync(directory);
      return true;
    } catch (error) {
      if (NOTHING_THERE.has(codeOf(error) ?? '')) return false;
      throw error;
    }
  }

  async exists(key: string): Promise<boolean> {
    return (await this.look(key)) !== null;
  }

  async info(key: string): Promise<ObjectInfo> {
    const info = await this.look(key);
    if (!info) throw new ObjectMissing(key);
    return info;
  }

  async *list(prefix: string): AsyncIterable<ObjectInfo> {
    for (const folder of [STAGING, ARTIFACTS, RECORDS_FOLDER]) {
      if (mayHold(folder, prefix)) yield* this.walk(folder, prefix);
    }
  }

  async checkWritable(): Promise<void> {
    const sink = await this.openStaging();
    try {
      await sink.write(Buffer.from('writable'));
      await this.discard((await sink.finish()).stagedKey);
    } catch (error) {
      await sink.abort();
      throw error;
    }
  }

  private async move({ stagedKey, content }: StagedObject, to: string): Promise<void> {
    const from = pathOfStagedKey(this.root, stagedKey);
    try {
      await diskThreads.move({ root: this.root, from, to, content: content ?? null });
    } catch (error) {
      if (codeOf(error) === 'ENOENT') throw new ObjectMissing(stagedKey);
      throw asStorageError(error);
    }
  }

  private async *walk(folder: string, prefix: string): AsyncIterable<ObjectInfo> {
    let entries: Dir;
    try {
      entries = await opendir(path.join(this.root, folder), { bufferSize: 256 });
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return;
      throw error;
    }
    for await (const entry of entries) {
      const key = `${folder}/${entry.name}`;
      if (entry.isDirectory()) {
        if (mayHold(key, prefix)) yield* this.walk(key, prefix);
      } else if (key.startsWith(prefix) && isObjectKey(key)) {
        // What is taken away while we list is no longer there to be told.
        const info = await this.look(key);
        if (info) yield info;
      }
    }
  }

  private async look(key: string): Promise<ObjectInfo | null> {
    const filePath = pathOfKey(this.root, key);
    try {
      await this.directories.check(path.dirname(filePath));
      const stats = await lstat(filePath);
      return stats.isFile() ? { key, sizeBytes: stats.size, modifiedAt: stats.mtime } : null;
    } catch (error) {
      if (NOTHING_THERE.has(codeOf(error) ?? '')) return null;
      throw error;
    }
  }

  private async openFile(key: string): Promise<FileHandle> {
    const filePath = pathOfKey(this.root, key);
    try {
      await this.directories.check(path.dirname(filePath));
      const file = await open(filePath, constants.O_RDONLY | constants.O_NOFOLLOW);
      if ((await file.stat()).isFile()) return file;
      await file.close();
    } catch (error) {
      if (!NOTHING_THERE.has(codeOf(error) ?? '')) throw error;
    }
    throw new ObjectMissing(key);
  }
}

/** Whether keys below a folder can begin with the prefix. */
function mayHold(folder: string, prefix: string): boolean {
  const below = `${folder}/`;
  return below.startsWith(prefix) || prefix.startsWith(below);
}
