import { setTimeout as sleep } from 'node:timers/promises';

const PAUSE_MS = 500;

/** A session with a broker that is begun again whenever it has ended, until it is closed. */
export class Lasting {
  private readonly closing = new AbortController();
  private readonly loop: Promise<void>;

  /**
   * @param session lasts for as long as the signal is not aborted and nothing goes wrong
   * @param complain is told what went wrong
   */
  constructor(session: (signal: AbortSignal) => Promise<void>, complain: (error: unknown) => void) {
    this.loop = this.keep(session, complain);
  }

  /** Resolves once the session has ended. */
  async close(): Promise<void> {
    this.closing.abort();
    await this.loop;
  }

  private async keep(
    session: (signal: AbortSignal) => Promise<void>,
    complain: (error: unknown) => void,
  ): Promise<void> {
    const { signal } = this.closing;
    while (!signal.aborted) {
      try {
        await session(signal);
      } catch (error) {
        if (!signal.aborted) complain(error);
      }
      await sleep(PAUSE_MS, null, { signal, ref: false }).catch(() => undefined);
    }
  }
}
