/** Work rests so many times as long as it took: it never takes more than a fifth of the time. */
const REST = 4;
const LONGEST_REST_MS = 5_000;

/**
 * Keeps work that follows many small changes from taking all the time there is: what happens while
 * it rests is done together once the rest is over. Work that is short rests shortly.
 */
export class DutyCycle {
  private startedAt: number | null = null;
  private restsUntil = 0;

  /** @param now gives milliseconds */
  constructor(private readonly now: () => number = () => performance.now()) {}

  /** How long to wait before beginning, in milliseconds; for work that runs, as if it ended now. */
  get restMs(): number {
    const now = this.now();
    if (this.startedAt !== null) return Math.max(1, restAfter(now - this.startedAt));
    return Math.max(0, this.restsUntil - now);
  }

  /** Does work, one at a time; the caller has seen that there is no rest to wait for. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    const startedAt = (this.startedAt = this.now());
    try {
      return await work();
    } finally {
      const endedAt = this.now();
      this.startedAt = null;
      this.restsUntil = endedAt + restAfter(endedAt - startedAt);
    }
  }
}

function restAfter(workedMs: number): number {
  return Math.min(LONGEST_REST_MS, REST * workedMs);
}
