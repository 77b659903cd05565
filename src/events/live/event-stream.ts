import type { CredentialWatch } from '../../core/contracts/credential-watch.js';
import { matchesEventPattern } from '../../core/events/event-pattern.js';
import type { Principal } from '../../core/principal.js';
import { Alarm } from '../alarm.js';
import type { EventAccess } from '../log/event-access.js';
import type { LogEntry } from '../log/entry-source.js';
import type { LogPosition } from '../log/log-position.js';
import type { LogReader } from '../log/log-reader.js';

/** Where a stream's events go: an answer that does not end, or a socket. */
export interface EventSink {
  /**
   * Sends events, and resolves once the connection has taken them; that is what keeps a slow reader
   * from being buffered for.
   */
  send(entries: readonly LogEntry[], cursor: LogPosition): Promise<void>;
  /** Shows that the connection lives, and how far the stream has come. */
  beat(cursor: LogPosition): Promise<void>;
  /** Ends it, with a reason that the reader is told. */
  close(reason: StreamEnd): void;
}

export type StreamEnd = 'access-withdrawn' | 'too-slow' | 'server-stopping' | 'failed';

/** What somebody follows. */
export interface StreamSelection {
  /** None stands for all events. */
  readonly patterns: readonly string[];
  readonly subject: string | null;
  readonly from: LogPosition;
}

export interface StreamLimits {
  readonly heartbeatMs: number;
  /** How long a reader may take to take what it was sent. */
  readonly patienceMs: number;
}

/** The reader has not taken what it was sent. */
class TooSlow extends Error {}

/**
 * One reader's way through the log: from a cursor, page by page, at the reader's own pace. It waits
 * at the end for what comes. Nothing is kept for a reader but its position.
 */
export class EventStream {
  private readonly alarm = new Alarm();
  private cursor: LogPosition;
  private ended = false;
  private beatAt = performance.now();

  constructor(
    private readonly selection: StreamSelection,
    private readonly identify: () => Promise<Principal | null>,
    private readonly watch: CredentialWatch,
    private readonly reader: LogReader,
    private readonly access: EventAccess,
    private readonly sink: EventSink,
    private readonly limits: StreamLimits,
  ) {
    this.cursor = selection.from;
  }

  ring(): void {
    this.alarm.ring();
  }

  /** Ends the stream; with a reason where it is not the reader who left. */
  end(reason?: StreamEnd): void {
    if (this.ended) return;
    this.ended = true;
    if (reason) this.sink.close(reason);
    this.alarm.ring();
  }

  /** Runs until the reader leaves or the stream is ended. Never throws. */
  async run(): Promise<void> {
    let stopWatching = () => {};
    try {
      const principal = await this.identify();
      if (!principal) return this.end('access-withdrawn');
      stopWatching = this.watch.watch(principal, () => this.end('access-withdrawn'));
      while (!this.ended) {
        const isFull = await this.step();
        if (!isFull && !this.ended) await this.alarm.sleep(this.limits.heartbeatMs);
      }
    } catch (error) {
      this.end(error instanceof TooSlow ? 'too-slow' : 'failed');
    } finally {
      stopWatching();
    }
  }

  private async step(): Promise<boolean> {
    const page = await this.reader.after(this.cursor);
    const wanted = page.entries.filter(({ event }) => this.wants(event));
    const isBeatDue = performance.now() - this.beatAt >= this.limits.heartbeatMs;
    if (wanted.length > 0 || isBeatDue) {
      // Asked anew each time: whose key was revoked, or grant withdrawn, is told no more.
      const principal = await this.identify();
      if (!principal) {
        this.end('access-withdrawn');
        return false;
      }
      const visible = await this.access.visible(principal, wanted);
      if (this.ended) return false;
      if (visible.length > 0) await this.taken(this.sink.send(visible, page.end));
      else if (isBeatDue) await this.taken(this.sink.beat(page.end));
      if (visible.length > 0 || isBeatDue) this.beatAt = performance.now();
    }
    this.cursor = page.end;
    return page.isFull;
  }

  private wants({ type, subject }: LogEntry['event']): boolean {
    const { patterns, subject: only } = this.selection;
    if (only !== null && subject !== only) return false;
    return patterns.length === 0 || patterns.some((one) => matchesEventPattern(one, type));
  }

  private async taken(sending: Promise<void>): Promise<void> {
    const { promise: late, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => reject(new TooSlow()), this.limits.patienceMs).unref();
    try {
      await Promise.race([sending, late]);
    } finally {
      clearTimeout(timer);
    }
  }
}
