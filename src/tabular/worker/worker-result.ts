import { createReadStream } from 'node:fs';
import { Socket } from 'node:net';
import { Readable } from 'node:stream';

/** What a worker writes, while it is written. */
export interface WorkerResult {
  /** Something of it was handed on. */
  readonly wasRead: boolean;
  /** All of it was handed on. */
  readonly isAtEnd: boolean;
  /** Settles once there is something to hand on, or the end. @throws what the result fails by */
  begun(): Promise<void>;
  /** The bytes in their order. Each piece is the reader's until it asks for the next, and no longer. */
  pieces(): AsyncGenerator<Buffer, void>;
  /** Lets go of it; whoever reads is told of the error. */
  destroy(error?: Error): void;
}

/** The result as a stream whose chunks are the reader's own. */
export function streamOf(result: WorkerResult): Readable {
  async function* copies() {
    for await (const piece of result.pieces()) yield Buffer.from(piece);
  }
  return Readable.from(copies(), { objectMode: false });
}

/** How much is read of a pipe at a time: all that Linux keeps in one. */
const READ_BYTES = 64 * 1024;
/** How much of a result waits for its reader. */
const RING_BYTES = 16 * READ_BYTES;

/**
 * A result out of a named pipe, through a ring of memory that is used again and again: memory of its own
 * for each of a large result's chunks would have the collector go over the whole heap for every few dozen
 * megabytes that pass.
 */
export class PipedResult implements WorkerResult {
  wasRead = false;
  private readonly ring = Buffer.allocUnsafeSlow(RING_BYTES);
  /** How many bytes came, and how many of them the ring need no longer keep. */
  private received = 0;
  private released = 0;
  private readonly socket: Socket;
  private hasEnded = false;
  private failure: Error | null = null;
  private wake: () => void = () => undefined;

  /** @param fd the pipe's reading end, not blocking; closed by this */
  constructor(fd: number) {
    this.socket = new Socket({
      fd,
      readable: true,
      writable: false,
      onread: {
        buffer: () => this.room(),
        callback: (count) => {
          this.received += count;
          this.wake();
          return this.hasRoom;
        },
      },
    });
    this.socket.once('end', () => {
      this.hasEnded = true;
      this.wake();
    });
    this.socket.once('close', () => {
      if (!this.hasEnded) this.failure ??= new Error('The result was let go of.');
      this.wake();
    });
    this.socket.on('error', (error) => this.destroy(error));
  }

  get isAtEnd(): boolean {
    return this.hasEnded && this.released === this.received;
  }

  async begun(): Promise<void> {
    if (this.hasRoom) this.socket.resume();
    while (this.received === this.released && !this.hasEnded && !this.failure) {
      await new Promise<void>((resolve) => (this.wake = resolve));
    }
    if (this.failure) throw this.failure;
  }

  async *pieces(): AsyncGenerator<Buffer, void> {
    for (;;) {
      await this.begun();
      const start = this.released % RING_BYTES;
      const piece = this.ring.subarray(start, start + this.received - this.released);
      if (piece.length === 0) return;
      this.wasRead = true;
      yield piece;
      this.released += piece.length;
    }
  }

  destroy(error?: Error): void {
    if (error) this.failure ??= error;
    this.socket.destroy();
    this.wake();
  }

  /** Where the next bytes go. It is asked for before there is room as well: until then nothing is read. */
  private room(): Buffer {
    const start = this.received % RING_BYTES;
    return this.ring.subarray(start, start + READ_BYTES);
  }

  private get hasRoom(): boolean {
    return RING_BYTES - (this.received - this.released) >= this.room().length;
  }
}

/** A result that was written to a file, where the system has no named pipes. */
export class FileResult implements WorkerResult {
  wasRead = false;
  isAtEnd = false;
  private failure: Error | null = null;

  /** @param written settles when the file is whole, or never will be */
  constructor(
    private readonly path: string,
    private readonly written: Promise<unknown>,
  ) {}

  async begun(): Promise<void> {
    await this.written.catch(() => undefined);
    if (this.failure) throw this.failure;
  }

  async *pieces(): AsyncGenerator<Buffer, void> {
    await this.begun();
    for await (const piece of createReadStream(this.path) as AsyncIterable<Buffer>) {
      this.wasRead = true;
      yield piece;
    }
    this.isAtEnd = true;
  }

  destroy(error?: Error): void {
    if (error) this.failure ??= error;
  }
}
