import type { FileHandle } from 'node:fs/promises';
import type { ObjectReader } from '../../../core/contracts/storage-backend.js';

/** Positional reads of one open file; deleted or replaced meanwhile, it stays what was opened. */
export class LocalObjectReader implements ObjectReader {
  constructor(private readonly file: FileHandle) {}

  async read(buffer: Buffer, position: number): Promise<number> {
    let done = 0;
    while (done < buffer.length) {
      const rest = buffer.length - done;
      const { bytesRead } = await this.file.read(buffer, done, rest, position + done);
      if (bytesRead === 0) break;
      done += bytesRead;
    }
    return done;
  }

  async close(): Promise<void> {
    await this.file.close().catch(() => {});
  }
}
