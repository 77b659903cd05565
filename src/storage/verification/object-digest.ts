import { createHash } from 'node:crypto';
import type { ObjectReader } from '../../core/contracts/storage-backend.js';
import { makeBatch, type Batch } from '../artifact/batch-pool.js';
import type { HashSession, Sha256Workers } from '../artifact/sha256-workers.js';

/** Up to here hashing costs less than handing the bytes to another thread. */
const HASHED_HERE = 256 * 1024;

/** Computes objects' digests beside the main thread, in memory that is used again. */
export class ObjectDigests {
  private readonly idle: Batch[] = [];

  constructor(private readonly workers: Sha256Workers) {}

  /**
   * Reads an object to its end. The caller closes the reader.
   * @param onRead is told of every read, with how many bytes it gave
   */
  async digest(reader: ObjectReader, onRead: (sizeBytes: number) => void): Promise<string> {
    const batches = [this.take(), this.take()];
    const hashed: Promise<void>[] = [];
    let session: HashSession | null = null;
    try {
      for (let position = 0, turn = 0; ; turn = 1 - turn) {
        await hashed[turn];
        const batch = batches[turn]!;
        const read = await reader.read(batch.bytes, position);
        onRead(read);
        const ends = read < batch.bytes.length;
        if (ends && position === 0 && read <= HASHED_HERE) {
          return createHash('sha256').update(batch.bytes.subarray(0, read)).digest('hex');
        }
        session ??= this.workers.open();
        const update = session.update(batch, read);
        // Should this fail while the next batch is read, it is not unheard: the turn awaits it.
        update.catch(() => undefined);
        hashed[turn] = update;
        position += read;
        if (!ends) continue;
        await Promise.all(hashed);
        return await session.digest();
      }
    } finally {
      // After the digest this is nothing any more.
      session?.abandon();
      await Promise.allSettled(hashed);
      // One that went down with its thread has no memory any more.
      this.idle.push(...batches.filter(({ bytes }) => bytes.length > 0));
    }
  }

  private take(): Batch {
    return this.idle.pop() ?? makeBatch();
  }
}
