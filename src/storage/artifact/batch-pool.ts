/** So much is hashed and written at a time: fewer bytes cost more hops, more only memory. */
export const BATCH_BYTES = 1024 * 1024;

/**
 * A piece of memory that goes to the hashing thread and comes back. It could be shared with it
 * instead, but copying into shared memory takes V8 three times as long.
 */
export interface Batch {
  /** Empty while the hashing thread has it, and for good where that has ended meanwhile. */
  bytes: Buffer<ArrayBuffer>;
}

/** Memory of a size that could change begins at a page, which lets a disk take it directly. */
export function makeBatch(): Batch {
  const memory = new ArrayBuffer(BATCH_BYTES, { maxByteLength: BATCH_BYTES });
  return { bytes: Buffer.from(memory, 0, BATCH_BYTES) };
}

/** What one upload may always have: one batch to fill while the one before is under way. */
const OWN_BATCHES = 2;
/** What one upload may have while there is enough for everybody. */
const MOST_BATCHES = 8;
/** Beyond this many for all uploads together, each has but its own. */
const SHARED_BATCHES = 64;

/**
 * Buffers that are used again and again. No upload ever waits for another's: with many at once each
 * goes on with fewer, so slow senders cannot starve the rest and memory stays bounded by their
 * number.
 */
export class BatchPool {
  private readonly idle: Batch[] = [];
  private taken = 0;

  /** Opens an upload's account. */
  lease(): BatchLease {
    return new BatchLease(this);
  }

  /** @param ownTaken how many the upload has already */
  take(ownTaken: number): Batch | null {
    const allowed = this.taken < SHARED_BATCHES ? MOST_BATCHES : OWN_BATCHES;
    if (ownTaken >= allowed) return null;
    this.taken++;
    return this.idle.pop() ?? makeBatch();
  }

  giveBack(batch: Batch): void {
    this.taken--;
    const isWhole = batch.bytes.length === BATCH_BYTES;
    if (isWhole && this.taken + this.idle.length < SHARED_BATCHES) this.idle.push(batch);
  }
}

/** One upload's batches. */
export class BatchLease {
  private taken = 0;

  constructor(private readonly pool: BatchPool) {}

  /** A batch to fill; null when the upload has to give one back first. */
  take(): Batch | null {
    const batch = this.pool.take(this.taken);
    if (batch) this.taken++;
    return batch;
  }

  giveBack(batch: Batch): void {
    this.taken--;
    this.pool.giveBack(batch);
  }
}
