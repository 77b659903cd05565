const KIBIBYTE = 1024;

/** Enough for a read that fits to cost one hop; what a small range or a crowded server gets. */
export const SMALL_BYTES = 64 * KIBIBYTE;
/** Where reading ahead and sending reach the disk's and the socket's full speed. */
export const LARGE_BYTES = 1024 * KIBIBYTE;

/** What one download reads into. */
export interface BufferLease {
  /** One buffer where that holds all there is to send, else two of one size. */
  readonly buffers: readonly Buffer[];
  /** Gives them back; called once nothing reads into them or sends from them any more. */
  release(): void;
}

/**
 * The memory that downloads share. Allocated once and used again, as allocating a mebibyte for each
 * chunk costs more than sending it. At most `largeLimit` large buffers exist; who comes when they
 * are out gets by with small ones, so that slow readers can slow others down but not use up memory.
 */
export class DownloadBuffers {
  private readonly small = new FreeList(SMALL_BYTES, 64);
  private readonly large: FreeList;
  private largeLent = 0;

  constructor(private readonly largeLimit = 32) {
    this.large = new FreeList(LARGE_BYTES, largeLimit);
  }

  /** How many large buffers are lent. */
  get lent(): number {
    return this.largeLent;
  }

  /** Lends what sending `lengthBytes` takes. */
  lease(lengthBytes: number): BufferLease {
    if (lengthBytes <= SMALL_BYTES) return lend(this.small, 1);
    const count = lengthBytes <= LARGE_BYTES ? 1 : 2;
    if (this.largeLent + count > this.largeLimit) return lend(this.small, 2);
    this.largeLent += count;
    return lend(this.large, count, () => (this.largeLent -= count));
  }
}

/** Buffers of one size that wait to be used again. */
class FreeList {
  private readonly free: Buffer[] = [];

  constructor(
    private readonly sizeBytes: number,
    private readonly kept: number,
  ) {}

  take(): Buffer {
    // Not zeroed: a reader sends only what was read into it.
    return this.free.pop() ?? Buffer.allocUnsafeSlow(this.sizeBytes);
  }

  give(buffer: Buffer): void {
    if (this.free.length < this.kept) this.free.push(buffer);
  }
}

function lend(from: FreeList, count: number, released?: () => void): BufferLease {
  const buffers = Array.from({ length: count }, () => from.take());
  return {
    buffers,
    release() {
      for (const buffer of buffers) from.give(buffer);
      released?.();
    },
  };
}
