import { constants } from 'node:fs';
import { open, unlink } from 'node:fs/promises';
import type { StagedObject, StagingSink } from '../../../core/contracts/storage-backend.js';
import { FILE_MODE, type DiskThreads } from './disk-threads.js';
import { openDirect, StreamedFile } from './streamed-file.js';
import { asStorageError } from './system-errors.js';

/** Up to this size a file is kept until it is whole, and then written in one go. */
const SMALL_BYTES = 256 * 1024;

/**
 * A staged file. A small one is written whole, on a thread that does all its steps; a larger one is
 * streamed to the disk while it comes.
 */
export class LocalStagingSink implements StagingSink {
  private readonly kept: Buffer[] = [];
  private sizeBytes = 0;
  private streamed: Promise<StreamedFile> | null = null;

  constructor(
    private readonly threads: DiskThreads,
    private readonly filePath: string,
    private readonly stagedKey: string,
  ) {}

  async write(batch: Buffer): Promise<void> {
    this.sizeBytes += batch.length;
    if (!this.streamed && this.sizeBytes <= SMALL_BYTES) {
      // The caller may use the batch again.
      this.kept.push(Buffer.from(batch));
      return;
    }
    this.streamed ??= this.startStreaming();
    const file = await this.streamed;
    await file.write(batch);
  }

  async finish(): Promise<StagedObject> {
    const { stagedKey, sizeBytes } = this;
    if (this.streamed) await (await this.streamed).finish();
    else await this.writeKept();
    return { stagedKey, sizeBytes };
  }

  async abort(): Promise<void> {
    const file = await this.streamed?.catch(() => null);
    await file?.close();
    await unlink(this.filePath).catch(() => {});
  }

  private async startStreaming(): Promise<StreamedFile> {
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL;
    const handle = await open(this.filePath, flags, FILE_MODE).catch((error: unknown) => {
      throw asStorageError(error);
    });
    const file = new StreamedFile(handle, await openDirect(this.filePath).catch(() => null));
    // Handed over here, before whoever waits for the file to be open can add to it.
    for (const batch of this.kept.splice(0)) file.write(batch).catch(() => {});
    return file;
  }

  private async writeKept(): Promise<void> {
    // A buffer of its own memory: what goes to another thread takes all of its memory along.
    const bytes = new Uint8Array(this.sizeBytes);
    let at = 0;
    for (const batch of this.kept.splice(0)) {
      bytes.set(batch, at);
      at += batch.length;
    }
    await this.threads.write(this.filePath, bytes).catch((error: unknown) => {
      throw asStorageError(error);
    });
  }
}
