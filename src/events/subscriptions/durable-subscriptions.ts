import { Inject, Injectable, Logger } from '@nestjs/common';
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { Counter } from 'prom-client';
import { EVENT_BROKER, type EventBroker } from '../../core/contracts/event-broker.js';
import type {
  EventHandler,
  EventSubscription,
  SubscriptionOptions,
} from '../../core/contracts/event-bus.js';
import { checkEventPattern } from '../../core/events/event-pattern.js';
import { Metrics } from '../../platform/metrics/metrics.js';
import { BrokerSource } from '../brokers/broker-source.js';
import { Relay } from '../brokers/relay.js';
import { BusConnections, POLL_MS } from '../bus-connections.js';
import { HandlerCalls } from '../handler-calls.js';
import { LiveFeed } from '../live-feed.js';
import type { EntrySource } from '../log/entry-source.js';
import { RELAY } from '../log/event-log.js';
import { LOG_START, type LogPosition } from '../log/log-position.js';
import { LogReader } from '../log/log-reader.js';
import { durableSubscription } from './durable-subscription.js';
import type { LeasedLoop } from './leased-loop.js';
import { SubscriptionRunner } from './subscription-runner.js';
import { SubscriptionStore } from './subscription-store.js';

/** What a process that dies leaves behind is taken over after this. */
export const LEASE_MS = 10_000;
const RENEWAL_MS = LEASE_MS / 4;

/** What is yet to be written into the database: what a subscription wants, and from where. */
interface Registration {
  readonly pattern: string;
  readonly from: LogPosition;
}

/** Something with a position in the log that one process at a time moves on. */
interface Declared {
  readonly name: string;
  readonly pattern: string;
  /** Where it begins when it is new; with what comes, where nothing is said. */
  readonly from?: LogPosition;
  /** Makes what moves it on here, whenever this process has the lease. */
  readonly run: () => LeasedLoop;
}

/**
 * The durable subscriptions that this process can run, and those of them that it does; where there is
 * a broker, its relay as well.
 */
@Injectable()
export class DurableSubscriptions {
  private readonly logger = new Logger(DurableSubscriptions.name);
  private readonly holder = `${hostname()}/${process.pid}/${randomUUID()}`;
  private readonly declared = new Map<string, Declared>();
  private readonly runners = new Map<string, LeasedLoop>();
  /** Declared, and not yet known to be in the database. */
  private readonly unregistered = new Map<string, Registration>();
  private readonly relayed: Counter;
  private readonly taken: Counter<'from'>;
  private renewedAt = 0;
  private tending: Promise<void> = Promise.resolve();
  private tick: NodeJS.Timeout | undefined;
  private forget: () => void = () => undefined;
  private started = false;

  constructor(
    private readonly connections: BusConnections,
    private readonly store: SubscriptionStore,
    private readonly reader: LogReader,
    private readonly feed: LiveFeed,
    private readonly calls: HandlerCalls,
    @Inject(EVENT_BROKER) private readonly broker: EventBroker | null,
    metrics: Metrics,
  ) {
    this.relayed = metrics.counter(
      'varve_events_relayed_total',
      'Events that this process has given to the broker',
    );
    this.taken = metrics.counter(
      'varve_events_taken_total',
      'Events that durable subscriptions took where there is a broker: from it, or from the log',
      ['from'],
    );
  }

  /** @throws InvalidEventPattern */
  subscribe(
    pattern: string,
    handler: EventHandler,
    options: SubscriptionOptions,
  ): EventSubscription {
    checkEventPattern(pattern);
    const { name } = options;
    const subscription = durableSubscription(pattern, handler, options);
    const sourceFor = (ring: () => void) => this.sourceFor(name, ring);
    const run = () => new SubscriptionRunner(subscription, this.store, sourceFor, this.calls);
    this.declare({ name, pattern, run });
    return { name, pattern };
  }

  /** Has a position moved on by one process at a time. */
  declare(declared: Declared): void {
    const { name } = declared;
    if (this.declared.has(name)) throw new Error(`Two subscriptions are named ${name}.`);
    this.declared.set(name, declared);
    if (!this.started) return;
    this.open(declared);
    // Not only at the next tick: whoever subscribes wants to be told now.
    this.tending = this.tending.then(() => this.tend());
  }

  /** Handles no more here. The position stays, for whoever subscribes by the name again. */
  unsubscribe({ name }: EventSubscription): void {
    const runner = this.runners.get(name);
    this.declared.delete(name);
    this.runners.delete(name);
    this.unregistered.delete(name);
    void runner?.stop();
  }

  async start(): Promise<void> {
    if (this.broker) this.declareRelay(this.broker);
    this.started = true;
    for (const declared of this.declared.values()) this.open(declared);
    this.forget = this.connections.onRing(() => {
      for (const runner of this.runners.values()) runner.ring();
    });
    await this.tend();
    this.tick = setInterval(() => {
      this.tending = this.tending.then(() => this.tend());
    }, POLL_MS).unref();
  }

  /** Lets what runs end, and gives the leases back. */
  async stop(): Promise<void> {
    clearInterval(this.tick);
    this.forget();
    await this.tending;
    await Promise.all([...this.runners.values()].map((runner) => runner.stop()));
  }

  private open({ name, pattern, run, ...declared }: Declared): void {
    const from = declared.from ?? this.feed.position;
    if (!from) throw new Error('The feed starts before the subscriptions.');
    this.unregistered.set(name, { pattern, from });
    this.runners.set(name, run());
  }

  private sourceFor(name: string, ring: () => void): EntrySource {
    const { broker, reader } = this;
    if (!broker) return reader;
    const count = (from: 'broker' | 'log', events: number) => this.taken.inc({ from }, events);
    return new BrokerSource(broker, name, reader, ring, count);
  }

  private declareRelay(broker: EventBroker): void {
    const count = (events: number) => this.relayed.inc(events);
    const run = () => new Relay(broker, this.store, this.reader, count);
    this.declare({ name: RELAY, pattern: '**', from: LOG_START, run });
  }

  /** Keeps what is held, takes what nobody holds. What fails is done a second later. */
  private async tend(): Promise<void> {
    try {
      await this.register();
      await this.renew();
      await this.claim();
    } catch (error) {
      this.logger.warn({ err: error }, 'The leases on subscriptions cannot be kept');
    }
  }

  private async register(): Promise<void> {
    const groups = Map.groupBy(this.unregistered, ([, { from }]) => from);
    for (const [from, group] of groups) {
      await this.store.register(
        group.map(([name, { pattern }]) => ({ name, pattern })),
        from,
      );
      for (const [name] of group) this.unregistered.delete(name);
    }
  }

  private async renew(): Promise<void> {
    const held = [...this.runners.values()].filter(({ generation }) => generation !== null);
    if (held.length === 0) return;
    const names = held.map(({ name }) => name);
    const pending = await this.store.withPending(names);
    const now = performance.now();
    const isDue = now - this.renewedAt >= RENEWAL_MS;
    const kept = isDue ? await this.store.renew(names, this.holder, LEASE_MS) : null;
    if (kept) this.renewedAt = now;
    for (const runner of held) {
      if (kept && kept.get(runner.name) !== runner.generation) runner.lose();
      else runner.keep(this.renewedAt + LEASE_MS, pending.has(runner.name));
    }
  }

  private async claim(): Promise<void> {
    const free = [...this.runners.values()].filter(({ generation }) => generation === null);
    const names = free.map(({ name }) => name).filter((name) => !this.unregistered.has(name));
    if (names.length === 0) return;
    const endsAt = performance.now() + LEASE_MS;
    for (const lease of await this.store.claim(names, this.holder, LEASE_MS)) {
      const runner = this.runners.get(lease.name);
      if (runner) runner.take(lease, endsAt);
      else await this.store.release(lease);
    }
  }
}
