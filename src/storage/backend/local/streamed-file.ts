import type { FileHandle } from 'node:fs/promises';
import { asStorageError } from './system-errors.js';

/** So much may be written before it is pushed to the disk, while more is still arriving. */
const SYNC_EVERY_BYTES = 16 * 1024 * 1024;

/**
 * A file that is written from its beginning to its end. Each batch is one positional write; the disk
 * is kept busy while more arrives, so that the last sync has little left to do.
 */
export class StreamedFile {
  private sizeBytes = 0;
  private unsyncedBytes = 0;
  private syncing: Promise<void> | null = null;
  /** What has gone wrong: a sync that failed once may report success the next time. */
  private failure: { error: unknown } | null = null;
  /** Settles when everything handed over so far has been tried. */
  private lastWrite: Promise<unknown> = Promise.resolve();

  constructor(private readonly file: FileHandle) {}

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
      await this.file.close();
    } catch (error) {
      throw asStorageError(error);
    }
  }

  /** Closes it as it is, once nothing is under way. Never throws. */
  async close(): Promise<void> {
    await this.lastWrite;
    await this.syncing;
    await this.file.close().catch(() => {});
  }

  private async writeAt(batch: Buffer, position: number): Promise<void> {
    try {
      for (let done = 0; done < batch.length;) {
        this.throwFailure();
        const rest = batch.length - done;
        const { bytesWritten } = await this.file.write(batch, done, rest, position + done);
        done += bytesWritten;
      }
    } catch (error) {
      this.failure ??= { error };
      throw asStorageError(error);
    }
    this.unsyncedBytes += batch.length;
    if (this.unsyncedBytes >= SYNC_EVERY_BYTES && !this.syncing) this.startSync();
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
