import { Logger } from '@nestjs/common';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Counter } from 'prom-client';
import { batchesOf } from '../batches.js';
import type { LogEntry } from '../log/entry-source.js';
import type { LogPosition } from '../log/log-position.js';
import type { LogReader } from '../log/log-reader.js';
import { backoffMs } from '../subscriptions/durable-subscription.js';
import { LeasedLoop, type Leased } from '../subscriptions/leased-loop.js';
import type {
  Lease,
  Passed,
  PendingDelivery,
  Retried,
  SubscriptionStore,
} from '../subscriptions/subscription-store.js';
import { RemoteAway, RemoteRefused, type RemoteBus } from './remote-bus.js';

/** Half of what a JSON body may have, unless told otherwise. */
const MAX_BATCH_BYTES = 4 * 1024 * 1024;
const MAX_DUE = 50;
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 10_000;

interface Held extends Leased {
  cursor: LogPosition;
}

/**
 * Sends the log to a remote bus, in its order and in batches, for as long as this process has the
 * lease. What was sent and not written down is sent again, which the remote knows by the ids.
 */
export class ForwardRunner extends LeasedLoop<Held> {
  private readonly logger = new Logger(ForwardRunner.name);
  /** How often in a row the remote was away. */
  private failures = 0;

  constructor(
    name: string,
    private readonly remote: RemoteBus,
    store: SubscriptionStore,
    private readonly reader: LogReader,
    private readonly forwarded: Counter<'outcome'>,
  ) {
    super(name, store);
  }

  /** Dead letters that somebody wants tried again are what may be pending. */
  protected begin(lease: Lease): Held {
    return { lease, pending: true, cursor: lease.position };
  }

  protected async fail(error: unknown, held: Held): Promise<void> {
    if (error instanceof RemoteAway) return this.pause(error);
    this.logger.warn({ err: error }, 'Forwarding events has to wait');
    // What was written and what was not is unknown: begin again from what the database has.
    this.loseIfHeld(held);
  }

  /** Waits longer and longer for the remote, whatever is published meanwhile. */
  private async pause(error: RemoteAway): Promise<void> {
    if (this.failures++ === 0) {
      this.logger.warn(`${error.message}; events wait for it in the log`);
    }
    this.forwarded.inc({ outcome: 'away' });
    const ms = Math.min(backoffMs(FIRST_PAUSE_MS, this.failures), LONGEST_PAUSE_MS);
    await sleep(ms, null, { signal: this.stopping.signal, ref: false }).catch(() => undefined);
    this.ring();
  }

  protected async step(held: Held): Promise<boolean> {
    if (held.pending) held.pending = await this.sendAgain(held);
    const page = await this.reader.after(held.cursor);
    for (const batch of batchesOf(page.entries, sizeOf, MAX_BATCH_BYTES)) {
      const refused = await this.send(batch);
      const last = batch.at(-1)!.position;
      if (!(await this.store.advance(held.lease, last, refused))) {
        this.loseIfHeld(held);
        return false;
      }
      held.cursor = last;
      this.isBack();
      this.forwarded.inc({ outcome: 'forwarded' }, batch.length - refused.length);
      this.forwarded.inc({ outcome: 'refused' }, refused.length);
    }
    return page.isFull;
  }

  private isBack(): void {
    if (this.failures > 0) this.logger.log(`${this.remote.address} takes events again`);
    this.failures = 0;
  }

  /** Sends events, and gives those that the remote will not take; one of them does not keep the rest. */
  private async send(entries: readonly LogEntry[]): Promise<Passed[]> {
    try {
      await this.remote.publish(entries.map(({ event }) => event));
      return [];
    } catch (error) {
      if (!(error instanceof RemoteRefused)) throw error;
      const [entry] = entries;
      if (entry && entries.length === 1) return [this.refusalOf(entry, error)];
      const half = Math.ceil(entries.length / 2);
      const first = await this.send(entries.slice(0, half));
      return [...first, ...(await this.send(entries.slice(half)))];
    }
  }

  private refusalOf(entry: LogEntry, { message }: RemoteRefused): Passed {
    this.logger.error(
      { eventId: entry.event.id, type: entry.event.type },
      `An event is not forwarded, and is a dead letter now. ${message}`,
    );
    return { entry, attempts: 1, error: message, next: 'dead' };
  }

  /** Sends dead letters that somebody wants tried again; says whether there may be more. */
  private async sendAgain({ lease }: Held): Promise<boolean> {
    const due = await this.store.claimDue(lease, MAX_DUE);
    const outcomes: Retried[] = [];
    try {
      for (const delivery of due) outcomes.push(await this.retry(delivery));
    } finally {
      const rest = due.slice(outcomes.length);
      const notBegun = rest.map(({ id }): Retried => ({ id, outcome: 'not begun' }));
      if (due.length > 0) await this.store.settle(lease, [...outcomes, ...notBegun]);
    }
    return due.length === MAX_DUE;
  }

  private async retry({ id, event }: PendingDelivery): Promise<Retried> {
    try {
      await this.remote.publish([event]);
      return { id, outcome: 'handled' };
    } catch (error) {
      if (!(error instanceof RemoteRefused)) throw error;
      return { id, outcome: { error: error.message, next: 'dead' } };
    }
  }
}

function sizeOf({ event }: LogEntry): number {
  return Buffer.byteLength(JSON.stringify(event));
}
