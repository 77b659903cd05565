import { Injectable, Logger } from '@nestjs/common';
import { setTimeout as sleep } from 'node:timers/promises';
import { Alarm } from './alarm.js';
import { BusConnections, POLL_MS } from './bus-connections.js';
import { Dispatcher } from './dispatcher.js';
import { HandlerCalls } from './handler-calls.js';
import type { LogEntry } from './log/entry-source.js';
import { settledEnd } from './log/event-log.js';
import type { LogPosition } from './log/log-position.js';
import { LogReader } from './log/log-reader.js';

/** More events than this are not on their way to slow handlers at a time. */
const MAX_IN_FLIGHT = 1_000;

/**
 * Follows the log from the moment this process started, and tells what comes to the subscribers
 * without a position: live streams, and handlers for which what happened while they were away does
 * not matter. Each process tells its own, whoever published.
 */
@Injectable()
export class LiveFeed {
  private readonly logger = new Logger(LiveFeed.name);
  private readonly alarm = new Alarm();
  private readonly followers = new Set<(entries: readonly LogEntry[]) => void>();
  private readonly running = new Set<Promise<void>>();
  private cursor: LogPosition | null = null;
  private stopping = false;
  private loop: Promise<void> = Promise.resolve();
  private forget: () => void = () => undefined;

  constructor(
    private readonly connections: BusConnections,
    private readonly reader: LogReader,
    private readonly dispatcher: Dispatcher,
    private readonly calls: HandlerCalls,
  ) {}

  /** Where the feed stands: what is committed from now on comes after it. Null before the start. */
  get position(): LogPosition | null {
    return this.cursor;
  }

  async start(): Promise<void> {
    this.cursor = await settledEnd(this.connections.pool);
    this.forget = this.connections.onRing(() => this.alarm.ring());
    this.loop = this.follow(this.cursor);
  }

  /** Lets running handlers end, within a limit. */
  async stop(): Promise<void> {
    this.stopping = true;
    this.forget();
    this.alarm.ring();
    await this.loop;
    const waited = new AbortController();
    await Promise.race([
      Promise.all(this.running).finally(() => waited.abort()),
      sleep(this.calls.limitMs, null, { signal: waited.signal, ref: false }).catch(() => undefined),
    ]);
  }

  /** Tells `follower` all that comes, in the log's order. It must neither throw nor take long. */
  onEntries(follower: (entries: readonly LogEntry[]) => void): () => void {
    this.followers.add(follower);
    return () => this.followers.delete(follower);
  }

  private async follow(from: LogPosition): Promise<void> {
    for (let cursor = from; !this.stopping;) {
      try {
        const { entries, end, isFull } = await this.reader.after(cursor);
        if (entries.length > 0) await this.tell(entries);
        this.cursor = cursor = end;
        if (isFull) continue;
      } catch (error) {
        this.logger.warn({ err: error }, 'The event log cannot be read');
      }
      await this.alarm.sleep(POLL_MS);
    }
  }

  private async tell(entries: readonly LogEntry[]): Promise<void> {
    for (const follower of this.followers) follower(entries);
    for (const { event } of entries) {
      const telling = this.dispatcher.dispatch(event).finally(() => this.running.delete(telling));
      this.running.add(telling);
      if (this.running.size >= MAX_IN_FLIGHT) await Promise.race(this.running);
    }
  }
}
