import { Logger } from '@nestjs/common';
import type { BrokerMessage, EventBroker } from '../../core/contracts/event-broker.js';
import { Alarm } from '../alarm.js';
import { POLL_MS } from '../bus-connections.js';
import { RELAY } from '../log/event-log.js';
import { isAfter, LOG_START, parseCursor, type LogPosition } from '../log/log-position.js';
import type { LogReader } from '../log/log-reader.js';
import type { LeaseHolder } from '../subscriptions/lease-holder.js';
import type { Lease, SubscriptionStore } from '../subscriptions/subscription-store.js';
import { toMessage } from './relayed-event.js';

/** Kafka takes no more than a mebibyte at a time. */
const BATCH_BYTES = 768 * 1024;
/** How often the broker is asked what it has where nothing else happens. */
const LOOK_MS = 5_000;

interface Held {
  readonly lease: Lease;
  cursor: LogPosition;
  /** When the broker last told what its store ends with; null where that is to be asked again. */
  lookedAt: number | null;
}

/**
 * Publishes the log to the broker, in order, for as long as this process has the lease. What the
 * broker says it has is believed more than the position: where its store ends before that, because it
 * was wiped or has lost the last it was given, the relay goes back there.
 */
export class Relay implements LeaseHolder {
  readonly name = RELAY;
  private readonly logger = new Logger(Relay.name);
  private readonly alarm = new Alarm();
  private held: Held | null = null;
  private leaseEndsAt = 0;
  private isAway = false;
  private stopping = false;
  private readonly loop: Promise<void>;

  constructor(
    private readonly broker: EventBroker,
    private readonly store: SubscriptionStore,
    private readonly log: LogReader,
    private readonly count: (events: number) => void,
  ) {
    this.loop = this.run();
  }

  get generation(): string | null {
    return this.held?.lease.generation ?? null;
  }

  ring(): void {
    this.alarm.ring();
  }

  take(lease: Lease, endsAt: number): void {
    this.held = { lease, cursor: lease.position, lookedAt: null };
    this.leaseEndsAt = endsAt;
    this.alarm.ring();
  }

  keep(endsAt: number): void {
    this.leaseEndsAt = endsAt;
  }

  lose(): void {
    this.held = null;
  }

  async stop(): Promise<void> {
    this.stopping = true;
    this.alarm.ring();
    await this.loop;
    if (this.held) await this.store.release(this.held.lease).catch(() => undefined);
  }

  private async run(): Promise<void> {
    while (!this.stopping) {
      const held = this.held;
      let more = false;
      try {
        if (held && performance.now() < this.leaseEndsAt) {
          more = await this.step(held);
          if (this.isAway) this.logger.log(`${this.broker.address} is given events again`);
          this.isAway = false;
        }
      } catch (error) {
        if (held) held.lookedAt = null;
        // Once, and not each second for as long as it lasts.
        if (!this.isAway) {
          this.logger.warn({ err: error }, `${this.broker.address} cannot be given events`);
        }
        this.isAway = true;
      }
      if (!more) await this.alarm.sleep(POLL_MS);
    }
  }

  /** Publishes a page, and says whether there is more. */
  private async step(held: Held): Promise<boolean> {
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
    for (const batch of batchesOf(messages)) {
      await this.broker.publish(batch);
      this.count(batch.length);
    }
    held.cursor = end;
    held.lookedAt = performance.now();
    if (await this.store.advance(held.lease, end, [])) return isFull;
    if (this.held === held) this.lose();
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

/** The messages in their order, as many at a time as have few enough bytes, and one at the least. */
function batchesOf(messages: readonly BrokerMessage[]): BrokerMessage[][] {
  const batches: BrokerMessage[][] = [];
  let sizeBytes = Infinity;
  for (const message of messages) {
    const bytes = Buffer.byteLength(message.body);
    if (sizeBytes + bytes > BATCH_BYTES) {
      batches.push([]);
      sizeBytes = 0;
    }
    batches.at(-1)?.push(message);
    sizeBytes += bytes;
  }
  return batches;
}
