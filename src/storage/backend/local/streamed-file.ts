import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { asStorageError, codeOf } from './system-errors.js';

/** So much may be written before it is pushed to the disk, while more is still arriving. */
const SYNC_EVERY_BYTES = 16 * 1024 * 1024;

/**
 * What direct I/O asks of a write's position and length on every file system that has it (open(2)):
 * a multiple of this; and of its memory that it begin at such a multiple.
 */
const DIRECT_BLOCK_BYTES = 4096;

/**
 * Opens a file that is there once more, past the page cache; null where the system or the file
 * system has no such way.
 */
export async function openDirect(filePath: string): Promise<FileHandle | null> {
  // Linux alone has the flag.
  if (!constants.O_DIRECT) return null;
  return open(filePath, constants.O_WRONLY | constants.O_DIRECT).catch((error: unknown) => {
    if (codeOf(error) === 'EINVAL') return null;
    throw error;
  });
}

/**
 * A file that is written from its beginning to its end. Each batch is one positional write. Whole
 * blocks go to the disk past the page cache, which such a file would only sweep clean of what is read;
 * what cannot go that way is pushed to the disk while more arrives, so that the last sync has little
 * left to do.
 */
export class StreamedFile {
  private sizeBytes = 0;
  private unsyncedBytes = 0;
  private syncing: Promise<void> | null = null;
  /** What has gone wrong: a sync that failed once may report success the next time. */
  private failure: { error: unknown } | null = null;
  /** Settles when everything handed over so far has been tried. */
  private lastWrite: Promise<unknown> = Promise.resolve();

  /** @param direct the same file, opened past the page cache */
  constructor(
    private readonly file: FileHandle,
    private readonly direct: FileHandle | null,
  ) {}

  write(batch: Buffer): Promise<void> {
    const position = this.sizeBytes;
    this.sizeBytes += batch.length;
    // One at a time: two that write to one file only wait for each other, spinning, in the kernel.
    const write = this.lastWrite.then(() => this.writeAt(batch, position));
    this.lastWrite = write.catch(() => {});
    return write;
  }

  /** Makes the file durable and closes it. */
  async finish(): Promise<void> {
    try {
      await this.lastWrite;
      await this.syncing;
      this.throwFailure();
      await this.file.datasync();
      await this.direct?.close();
      await this.file.close();
    } catch (error) {
      throw asStorageError(error);
    }
  }

  /** Closes it as it is, once nothing is under way. Never throws. */
  async close(): Promise<void> {
    await this.lastWrite;
    await this.syncing;
    await this.direct?.close().catch(() => {});
    await this.file.close().catch(() => {});
  }

  private async writeAt(batch: Buffer, position: number): Promise<void> {
    try {
      let done = await this.writeDirectly(batch, position);
      this.unsyncedBytes += batch.length - done;
      while (done < batch.length) {
        this.throwFailure();
        const rest = batch.length - done;
        const { bytesWritten } = await this.file.write(batch, done, rest, position + done);
        done += bytesWritten;
      }
    } catch (error) {
      this.failure ??= { error };
      throw asStorageError(error);
    }
    if (this.unsyncedBytes >= SYNC_EVERY_BYTES && !this.syncing) this.startSync();
  }

  /** Writes past the page cache what can go there, and gives how much that was. */
  private async writeDirectly(batch: Buffer, position: number): Promise<number> {
    const length = batch.length - (batch.length % DIRECT_BLOCK_BYTES);
    const isAligned = [position, batch.byteOffset].every((at) => at % DIRECT_BLOCK_BYTES === 0);
    if (!this.direct || !isAligned || length === 0) return 0;
    this.throwFailure();
    try {
      return (await this.direct.write(batch, 0, length, position)).bytesWritten;
    } catch (error) {
      // The memory, or the file system, does not lend itself to it after all.
      if (codeOf(error) === 'EINVAL') return 0;
      throw error;
    }
  }

  private startSync(): void {
    this.unsyncedBytes = 0;
    this.syncing = this.file.datasync().then(
      () => {
        this.syncing = null;
      },
      (error: unknown) => {
        this.failure ??= { error };
        this.syncing = null;
      },
    );
  }

  private throwFailure(): void {
    if (this.failure) throw this.failure.error;
  }
}
