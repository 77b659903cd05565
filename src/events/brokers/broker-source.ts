import type {
  BrokerConsumer,
  BrokerDelivery,
  EventBroker,
} from '../../core/contracts/event-broker.js';
import { PAGE, type EntrySource, type LogPage, type LogEntry } from '../log/entry-source.js';
import { isAfter, type LogPosition } from '../log/log-position.js';
import { fromMessage, type RelayedEvent } from './relayed-event.js';

/** When nothing has come for so long, the log is asked whether there is something. */
const SILENCE_MS = 800;

interface Arrival extends RelayedEvent {
  readonly delivery: BrokerDelivery;
}

/**
 * What a broker gives to a subscription's group, held against its position: each event names the one
 * before it, so that what was lost, wiped, expired or is out of order shows as a gap, and a gap is
 * read from the log. What comes again lies behind the position, and is put aside. While the broker is
 * away the log is all there is.
 */
export class BrokerSource implements EntrySource {
  private waiting: Arrival[] = [];
  private heardAt = performance.now();
  private readonly consumer: BrokerConsumer;

  /**
   * @param ring called when something has come
   * @param count told how many events were taken, and from where
   */
  constructor(
    broker: EventBroker,
    group: string,
    private readonly log: EntrySource,
    ring: () => void,
    private readonly count: (from: 'broker' | 'log', events: number) => void,
  ) {
    this.consumer = broker.consume(group, (deliveries) => {
      this.take(deliveries);
      ring();
    });
  }

  async after(position: LogPosition): Promise<LogPage> {
    this.putAside(position);
    const entries = this.following(position);
    const end = entries.at(-1)?.position;
    if (end) {
      this.heardAt = performance.now();
      this.count('broker', entries.length);
      return { entries, end, isFull: entries.length < this.waiting.length };
    }
    const isSilent = performance.now() - this.heardAt >= SILENCE_MS;
    const hasGap = this.waiting.length > 0;
    if (this.consumer.isAttached && !hasGap && !isSilent) {
      return { entries: [], end: position, isFull: false };
    }
    const page = await this.log.after(position);
    // What the log does not have is not of this log.
    if (page.entries.length === 0) this.putAside(null);
    this.count('log', page.entries.length);
    if (!page.isFull) this.heardAt = performance.now();
    return page;
  }

  readAfter(position: LogPosition): Promise<LogPage> {
    return this.log.readAfter(position);
  }

  close(): Promise<void> {
    return this.consumer.close();
  }

  private take(deliveries: readonly BrokerDelivery[]): void {
    for (const delivery of deliveries) {
      const relayed = fromMessage(delivery.body);
      if (relayed) this.waiting.push({ ...relayed, delivery });
      else delivery.ack();
    }
  }

  /** Is done with what lies behind a position, or with all. */
  private putAside(position: LogPosition | null): void {
    this.waiting = this.waiting.filter(({ entry, delivery }) => {
      if (position && isAfter(entry.position, position)) return true;
      delivery.ack();
      return false;
    });
  }

  /** Those that follow a position, each right after the one before. */
  private following(position: LogPosition): LogEntry[] {
    const entries: LogEntry[] = [];
    let end = position;
    for (const { entry, after } of this.waiting) {
      if (!isAfter(entry.position, end)) continue;
      if (isAfter(after, end) || entries.length === PAGE) break;
      entries.push(entry);
      end = entry.position;
    }
    return entries;
  }
}
