import { LRUCache } from 'lru-cache';

/** What came of asking for one more call. */
export interface Allowance {
  readonly isAllowed: boolean;
  readonly limit: number;
  /** How many more are allowed until the window ends. */
  readonly remaining: number;
  readonly resetSeconds: number;
}

/** How often a subject has called in a window that others have yet to be told of. */
export interface Unshared {
  readonly subject: string;
  readonly windowStart: number;
  readonly calls: number;
}

export const WINDOW_SECONDS = 60;
const MAX_SUBJECTS = 50_000;
/** Usage below this part of a limit is not worth telling others of: most callers cost no write. */
const WORTH_SHARING = 0.01;

interface Usage {
  readonly limit: number;
  windowStart: number;
  /** Of all replicas, as far as has been told; what was shared by this one is in it. */
  known: number;
  unshared: number;
}

/**
 * Counts calls in fixed windows, here and, as far as they have told, on the other replicas. Knows no
 * clock and no database: it is given the time, and what others have counted.
 */
export class UsageWindow {
  private readonly usages = new LRUCache<string, Usage>({ max: MAX_SUBJECTS });

  /** Counts one call of a subject, where its limit lets it. @param now in seconds */
  take(subject: string, limit: number, now: number): Allowance {
    const windowStart = Math.floor(now / WINDOW_SECONDS) * WINDOW_SECONDS;
    let usage = this.usages.get(subject);
    if (!usage) {
      usage = { limit, windowStart, known: 0, unshared: 0 };
      this.usages.set(subject, usage);
    } else if (usage.windowStart !== windowStart) {
      Object.assign(usage, { windowStart, known: 0, unshared: 0 });
    }
    const isAllowed = usage.known + usage.unshared < limit;
    if (isAllowed) usage.unshared++;
    return {
      isAllowed,
      limit,
      remaining: Math.max(0, limit - usage.known - usage.unshared),
      resetSeconds: Math.max(1, Math.ceil(windowStart + WINDOW_SECONDS - now)),
    };
  }

  /** What is worth telling the others, up to `most` subjects; in the order of their names. */
  unshared(most: number): Unshared[] {
    const found: Unshared[] = [];
    for (const [subject, usage] of this.usages.entries()) {
      if (found.length >= most) break;
      if (usage.unshared === 0 || usage.unshared < usage.limit * WORTH_SHARING) continue;
      found.push({ subject, windowStart: usage.windowStart, calls: usage.unshared });
    }
    return found.sort((a, b) => (a.subject < b.subject ? -1 : 1));
  }

  /** Takes note that a count has been told, and what all have counted together. */
  shared({ subject, windowStart, calls }: Unshared, known: number): void {
    const usage = this.usages.peek(subject);
    if (usage?.windowStart !== windowStart) return;
    usage.known = known;
    usage.unshared -= calls;
  }
}
