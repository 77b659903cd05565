import { Logger } from '@nestjs/common';
import type { EventBroker } from '../../core/contracts/event-broker.js';
import { batchesOf } from '../batches.js';
import { RELAY } from '../log/event-log.js';
import { isAfter, LOG_START, parseCursor, type LogPosition } from '../log/log-position.js';
import type { LogReader } from '../log/log-reader.js';
import { LeasedLoop, type Leased } from '../subscriptions/leased-loop.js';
import type { Lease, SubscriptionStore } from '../subscriptions/subscription-store.js';
import { toMessage } from './relayed-event.js';

/** Kafka takes no more than a mebibyte at a time. */
const BATCH_BYTES = 768 * 1024;
/** How often the broker is asked what it has where nothing else happens. */
const LOOK_MS = 5_000;

interface Held extends Leased {
  cursor: LogPosition;
  /** When the broker last told what its store ends with; null where that is to be asked again. */
  lookedAt: number | null;
}

/**
 * Publishes the log to the broker, in order, for as long as this process has the lease. What the
 * broker says it has is believed more than the position: where its store ends before that, because it
 * was wiped or has lost the last it was given, the relay goes back there.
 */
export class Relay extends LeasedLoop<Held> {
  private readonly logger = new Logger(Relay.name);
  private isAway = false;

  constructor(
    private readonly broker: EventBroker,
    store: SubscriptionStore,
    private readonly log: LogReader,
    private readonly count: (events: number) => void,
  ) {
    super(RELAY, store);
  }

  protected begin(lease: Lease): Held {
    return { lease, pending: false, cursor: lease.position, lookedAt: null };
  }

  protected async step(held: Held): Promise<boolean> {
    const more = await this.publish(held);
    if (this.isAway) this.logger.log(`${this.broker.address} is given events again`);
    this.isAway = false;
    return more;
  }

  /** Says so once, and not each second for as long as it lasts. */
  protected fail(error: unknown, held: Held): void {
    held.lookedAt = null;
    if (!this.isAway) {
      this.logger.warn({ err: error }, `${this.broker.address} cannot be given events`);
    }
    this.isAway = true;
  }

  /** Publishes a page, and says whether there is more. */
  private async publish(held: Held): Promise<boolean> {
    if (held.lookedAt === null || performance.now() - held.lookedAt > LOOK_MS) {
      await this.look(held);
    }
    const { entries, end, isFull } = await this.log.after(held.cursor);
    if (entries.length === 0) return isFull;
    let after = held.cursor;
    const messages = entries.map((entry) => {
      const message = toMessage(entry, after);
      after = entry.position;
      return message;
    });
    const bytesOf = ({ body }: { body: string }) => Buffer.byteLength(body);
    for (const batch of batchesOf(messages, bytesOf, BATCH_BYTES)) {
      await this.broker.publish(batch);
      this.count(batch.length);
    }
    held.cursor = end;
    held.lookedAt = performance.now();
    if (await this.store.advance(held.lease, end, [])) return isFull;
    this.loseIfHeld(held);
    return false;
  }

  /** Goes back to where the broker's store ends, if that is before the position. */
  private async look(held: Held): Promise<void> {
    const newest = await this.broker.newest();
    held.lookedAt = performance.now();
    const end = (newest === null ? null : parseCursor(newest)) ?? LOG_START;
    if (!isAfter(held.cursor, end)) return;
    this.logger.warn(
      `${this.broker.address} lacks events that it was given; it is given them again`,
    );
    held.cursor = end;
  }
}
