import { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { UploadAborted } from '../../core/contracts/artifact-producer.js';
import { BATCH_BYTES, type Batch, type BatchLease } from './batch-pool.js';

/** The beginning of a body, or all of it. */
export interface BodyHead {
  readonly chunks: Buffer[];
  readonly sizeBytes: number;
  /** There is no more. */
  readonly isWhole: boolean;
}

/** Takes a filled batch; it may be reused when the promise has settled. */
export type BatchConsumer = (batch: Batch, sizeBytes: number) => Promise<void>;

/**
 * Reads a stream once: its head first, then the rest in batches. While nobody takes what it brings
 * the stream is paused, so that nothing piles up. It never destroys the stream.
 */
export class BodyReader {
  /** The end, or what kept it from coming. */
  private readonly end: Promise<void>;

  constructor(private readonly stream: Readable) {
    this.end = finished(stream, { writable: false }).catch((error: unknown) => {
      throw brokeOff(error) ? new UploadAborted() : error;
    });
    // Whoever reads sees the failure; between two reads nobody does.
    this.end.catch(() => {});
  }

  /** Reads until the end, or until there are more than `limit` bytes. */
  async head(limit: number): Promise<BodyHead> {
    const chunks: Buffer[] = [];
    let sizeBytes = 0;
    let onData: ((chunk: Buffer | string) => void) | undefined;
    const enough = new Promise<false>((resolve) => {
      onData = (piece) => {
        const chunk = asBuffer(piece);
        chunks.push(chunk);
        sizeBytes += chunk.length;
        if (sizeBytes <= limit) return;
        this.stream.pause();
        resolve(false);
      };
      this.stream.on('data', onData);
    });
    try {
      const isWhole = await Promise.race([enough, this.end.then(() => true)]);
      return { chunks, sizeBytes, isWhole };
    } finally {
      if (onData) this.stream.off('data', onData);
    }
  }

  /**
   * Hands everything from `first` to the end to `consume` in batches, in order, several at once. It
   * settles when no batch is under way any more.
   */
  async batches(
    first: readonly Buffer[],
    lease: BatchLease,
    consume: BatchConsumer,
  ): Promise<void> {
    const collector = new BatchCollector(this.stream, lease, consume);
    const onData = (chunk: Buffer | string) => collector.add(asBuffer(chunk));
    this.stream.on('data', onData);
    this.stream.resume();
    for (const chunk of first) collector.add(chunk);
    try {
      await Promise.race([this.end, collector.failed]);
      await collector.flush();
    } finally {
      this.stream.off('data', onData);
      await collector.settle();
    }
  }
}

/** Streams whose chunks belong to whoever reads them. */
const givenAway = new WeakSet<Readable>();

/**
 * Says that whoever reads this stream may free the memory of a chunk that fills it: nobody else
 * looks at it any more.
 */
export function giveChunksAway(stream: Readable): void {
  givenAway.add(stream);
}

function isGivenAway(stream: Readable): boolean {
  return stream instanceof IncomingMessage || givenAway.has(stream);
}

/** Copies chunks into batches, and holds the stream back while it has none to fill. */
class BatchCollector {
  /** Rejects once a batch could not be consumed. */
  readonly failed: Promise<never>;
  private fail!: (error: unknown) => void;
  private current: Batch | null = null;
  private filled = 0;
  /** What came while there was no batch to fill; the stream is paused while there is any. */
  private waiting: { readonly chunk: Buffer; taken: number }[] = [];
  private readonly underWay = new Set<Promise<void>>();

  constructor(
    private readonly stream: Readable,
    private readonly lease: BatchLease,
    private readonly consume: BatchConsumer,
  ) {
    this.failed = new Promise<never>((_, reject) => (this.fail = reject));
    this.failed.catch(() => {});
  }

  add(chunk: Buffer): void {
    const taken = this.waiting.length > 0 ? 0 : this.copy(chunk, 0);
    if (taken === chunk.length) {
      this.free(chunk);
      return;
    }
    this.waiting.push({ chunk, taken });
    this.stream.pause();
  }

  /** Consumes what is left once the stream has ended. */
  async flush(): Promise<void> {
    // While something waits for a batch, those under way will bring it.
    while (this.waiting.length > 0) await this.oneRound();
    if (this.filled > 0) this.hand();
    await this.oneRound();
  }

  /** Takes nothing more, waits for what is under way, and gives every batch back. */
  async settle(): Promise<void> {
    this.waiting = [];
    await Promise.allSettled(this.underWay);
    if (this.current) this.lease.giveBack(this.current);
    this.current = null;
  }

  private async oneRound(): Promise<void> {
    await Promise.race([Promise.all(this.underWay), this.failed]);
  }

  /** Copies from `start` on and gives where it stopped: at the end, or where room ran out. */
  private copy(chunk: Buffer, start: number): number {
    let at = start;
    while (at < chunk.length) {
      this.current ??= this.lease.take();
      if (!this.current) break;
      const copied = chunk.copy(this.current.bytes, this.filled, at);
      at += copied;
      this.filled += copied;
      if (this.filled === BATCH_BYTES) this.hand();
    }
    return at;
  }

  private hand(): void {
    const [batch, sizeBytes] = [this.current, this.filled];
    if (!batch) return;
    this.current = null;
    this.filled = 0;
    const consumed = this.consume(batch, sizeBytes)
      .catch(this.fail)
      .finally(() => {
        this.underWay.delete(consumed);
        this.lease.giveBack(batch);
        this.takeWaiting();
      });
    this.underWay.add(consumed);
  }

  private takeWaiting(): void {
    if (this.waiting.length === 0) return;
    for (let first = this.waiting[0]; first; first = this.waiting[0]) {
      first.taken = this.copy(first.chunk, first.taken);
      if (first.taken < first.chunk.length) return;
      this.waiting.shift();
      this.free(first.chunk);
    }
    this.stream.resume();
  }

  /**
   * Gives a chunk's memory back at once. Left to the garbage collector, the 64 KiB of every read
   * look to it like a heap that grows, and it goes through all that the server holds sixteen times
   * a GiB, which takes longer than everything else an upload does on this thread. Node makes a
   * buffer for each chunk of a request, which is ours alone where nobody else listens.
   */
  private free(chunk: Buffer): void {
    if (!isGivenAway(this.stream) || this.stream.listenerCount('data') > 1) return;
    const { buffer } = chunk;
    if ('transfer' in buffer && buffer.byteLength === chunk.length) buffer.transfer(0);
  }
}

function asBuffer(chunk: Buffer | string): Buffer {
  return typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
}

/** Whether the stream ended because whoever sent it went away. */
function brokeOff(error: unknown): boolean {
  const { code } = error as { code?: string };
  return code === 'ECONNRESET' || code === 'EPIPE' || code === 'ERR_STREAM_PREMATURE_CLOSE';
}
