import type { Request, Response } from 'express';

/** The receiver of an answer has closed the connection. */
export class ClientGone extends Error {
  constructor() {
    super('The client has closed the connection');
    this.name = 'ClientGone';
  }
}

/**
 * Writes an answer's body and tells when each chunk has left the process: only then may its memory
 * be used again. A connection that is lost calls back for nothing that was not under way, so the
 * socket is watched as well; an answer that waits behind another on its connection has no socket of
 * its own yet, hence the request's.
 */
export class ResponseBody {
  /** How many bytes of the body have left. */
  sentBytes = 0;

  private readonly waiting = new Set<(reason: Error) => void>();
  private readonly onClose = () => {
    for (const reject of this.waiting) reject(new ClientGone());
    this.waiting.clear();
  };

  /**
   * @param stallLimitMs how long nothing may be taken before the connection is closed; unlimited where it
   *   may be the sender that takes so long
   */
  constructor(
    private readonly req: Request,
    private readonly res: Response,
    stallLimitMs?: number,
  ) {
    req.socket.once('close', this.onClose);
    if (stallLimitMs !== undefined) res.setTimeout(stallLimitMs, () => res.destroy());
  }

  /** Settles once the chunk may be overwritten. @throws ClientGone */
  write(chunk: Buffer): Promise<void> {
    return this.until(chunk, (done) => this.res.write(chunk, done));
  }

  /** Writes the last chunk; settles once all of the answer has left. @throws ClientGone */
  end(chunk: Buffer): Promise<void> {
    return this.until(chunk, (done) => this.res.end(chunk, () => done()));
  }

  /**
   * Breaks the connection, so that an answer cut short cannot pass for a whole one; settles once
   * nothing is sent from memory any more.
   */
  async abort(): Promise<void> {
    if (this.req.socket.closed) return;
    const closed = new Promise((resolve) => this.req.socket.once('close', resolve));
    this.req.socket.destroy();
    await closed;
  }

  /** Stops watching the connection, which may go on to other requests. */
  dispose(): void {
    this.req.socket.off('close', this.onClose);
  }

  private until(
    chunk: Buffer,
    start: (done: (error?: Error | null) => void) => void,
  ): Promise<void> {
    const written = new Promise<void>((resolve, reject) => {
      if (this.req.socket.destroyed) {
        reject(new ClientGone());
        return;
      }
      this.waiting.add(reject);
      start((error) => {
        this.waiting.delete(reject);
        if (error) return reject(new ClientGone());
        this.sentBytes += chunk.length;
        resolve();
      });
    });
    // The caller may be reading the next chunk while this one fails.
    written.catch(() => undefined);
    return written;
  }
}
