import { hash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { DigestMismatch, LengthMismatch } from '../../core/contracts/artifact-producer.js';
import type {
  StagedObject,
  StagingSink,
  StorageBackend,
} from '../../core/contracts/storage-backend.js';
import type { Sha256 } from '../../core/ids.js';
import { BATCH_BYTES, BatchPool } from './batch-pool.js';
import { BodyReader, type BodyHead } from './body-reader.js';
import { Sha256Workers } from './sha256-workers.js';

/** Up to this size hashing here costs less than the way to another thread and back. */
const SMALL_BYTES = BATCH_BYTES / 4;

/** What the sender promised of a body. */
export interface Promised {
  readonly sha256: Sha256 | null;
  readonly sizeBytes: number | null;
}

/** What a body turned out to be. */
export interface StagedBody {
  readonly object: StagedObject;
  readonly sha256: Sha256;
}

/**
 * Takes a stream in one pass: another thread hashes a batch while the one before is being written,
 * and this one only moves bytes. Memory does not grow with the body.
 */
export class StreamStager {
  private readonly pool = new BatchPool();
  private readonly workers = new Sha256Workers();

  constructor(private readonly backend: StorageBackend) {}

  /**
   * Stages a stream to its end. Where it fails nothing is left in staging; the stream is left as it
   * is, for its owner to end.
   * @throws DigestMismatch, LengthMismatch, UploadAborted, StorageFull
   */
  async stage(stream: Readable, promised: Promised): Promise<StagedBody> {
    const body = new BodyReader(stream);
    const head = await body.head(SMALL_BYTES);
    return head.isWhole ? this.stageSmall(head, promised) : this.stageLarge(body, head, promised);
  }

  async close(): Promise<void> {
    await this.workers.close();
  }

  private async stageSmall(head: BodyHead, promised: Promised): Promise<StagedBody> {
    const { chunks } = head;
    const bytes = chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks);
    const sha256 = hash('sha256', bytes, 'hex') as Sha256;
    // Checked before anything is written: a small body costs the disk nothing when it is wrong.
    check(promised, bytes.length, sha256);
    return this.withSink(async (sink) => {
      if (bytes.length > 0) await sink.write(bytes);
      return { object: await sink.finish(), sha256 };
    });
  }

  private async stageLarge(
    body: BodyReader,
    head: BodyHead,
    promised: Promised,
  ): Promise<StagedBody> {
    const session = this.workers.open();
    try {
      return await this.withSink(async (sink) => {
        let received = 0;
        await body.batches(head.chunks, this.pool.lease(), async (batch, sizeBytes) => {
          received += sizeBytes;
          refuseExcess(promised, received);
          // While this batch is written, the next one is hashed and the one after that is filled.
          await session.update(batch, sizeBytes);
          await sink.write(batch.bytes.subarray(0, sizeBytes));
        });
        const sha256 = await session.digest();
        check(promised, received, sha256);
        return { object: await sink.finish(), sha256 };
      });
    } finally {
      session.abandon();
    }
  }

  private async withSink(work: (sink: StagingSink) => Promise<StagedBody>): Promise<StagedBody> {
    const sink = await this.backend.openStaging();
    try {
      return await work(sink);
    } catch (error) {
      await sink.abort();
      throw error;
    }
  }
}

function check(promised: Promised, sizeBytes: number, sha256: Sha256): void {
  if (promised.sizeBytes !== null && promised.sizeBytes !== sizeBytes) {
    throw new LengthMismatch(promised.sizeBytes, sizeBytes);
  }
  if (promised.sha256 !== null && promised.sha256 !== sha256) {
    throw new DigestMismatch(promised.sha256, sha256);
  }
}

function refuseExcess(promised: Promised, received: number): void {
  if (promised.sizeBytes !== null && received > promised.sizeBytes) {
    throw new LengthMismatch(promised.sizeBytes, received);
  }
}
