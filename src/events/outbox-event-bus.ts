import { Inject, Injectable, Logger } from '@nestjs/common';
import type { Counter } from 'prom-client';
import { EVENT_BROKER, type EventBroker } from '../core/contracts/event-broker.js';
import type {
  EventBus,
  EventHandler,
  EventSubscription,
  NewEvent,
  SubscriptionOptions,
} from '../core/contracts/event-bus.js';
import { UNIT_OF_WORK, type Tx, type UnitOfWork } from '../core/contracts/unit-of-work.js';
import type { EventCatalog, EventType } from '../core/events/catalog.js';
import { EVENT_SCHEMAS } from '../core/events/catalog.schemas.js';
import type { EventId } from '../core/ids.js';
import { Metrics } from '../platform/metrics/metrics.js';
import { BusConnections } from './bus-connections.js';
import { Dispatcher } from './dispatcher.js';
import { append, lagSeconds } from './log/event-log.js';
import { DurableSubscriptions } from './subscriptions/durable-subscriptions.js';

/** What a process commits that goes on committing is told together, the first of it no later than this. */
const GATHERING_MS = 5;

/** The bus: publishing writes into the log, from which all who subscribe are told. */
@Injectable()
export class OutboxEventBus implements EventBus {
  private readonly logger = new Logger(OutboxEventBus.name);
  private readonly published: Counter<'type'>;
  private gathering: NodeJS.Timeout | null = null;

  constructor(
    private readonly dispatcher: Dispatcher,
    private readonly durable: DurableSubscriptions,
    private readonly connections: BusConnections,
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
    @Inject(EVENT_BROKER) broker: EventBroker | null,
    metrics: Metrics,
  ) {
    this.published = metrics.counter('varve_events_published_total', 'Events that have committed', [
      'type',
    ]);
    const gaugeLag = (name: string, help: string, of: Parameters<typeof lagSeconds>[1]) =>
      metrics.gauge(name, help, [], async (gauge) => {
        try {
          gauge.set(await unitOfWork.read((tx) => lagSeconds(tx, of)));
        } catch (error) {
          // The other metrics are wanted all the more while the database is away.
          this.logger.warn({ err: error }, 'The event lag could not be read');
          gauge.set(NaN);
        }
      });
    gaugeLag(
      'varve_event_lag_seconds',
      'For how long the oldest event that a durable subscription has not passed has been waiting',
      'subscriptions',
    );
    if (!broker) return;
    gaugeLag(
      'varve_event_relay_lag_seconds',
      'For how long the oldest event that the broker has not been given has been waiting',
      'relay',
    );
  }

  async publish<T extends EventType>(
    tx: Tx,
    type: T,
    subject: string,
    data: EventCatalog[T],
  ): Promise<EventId> {
    const [id] = await this.publishAll(tx, [{ type, subject, data } as NewEvent]);
    return id as EventId;
  }

  publishAll(tx: Tx, events: readonly NewEvent[]): Promise<EventId[]> {
    if (events.length === 0) return Promise.resolve([]);
    const ids = append(tx, events);
    this.announce(
      tx,
      events.map(({ type }) => type),
    );
    return Promise.resolve(ids);
  }

  /** Wakes whoever follows the log once events of these types, which stand in it, have committed. */
  announce(tx: Tx, types: readonly string[]): void {
    if (types.length === 0) return;
    tx.afterCommit(() => {
      for (const type of types) this.published.inc({ type: isCatalogued(type) ? type : 'other' });
      // Whoever waited for the commit goes on before, and may begin the next.
      process.nextTick(() => this.tell());
    });
  }

  /**
   * Wakes those who follow the log: at once, unless more may be about to come. Each waking reads the
   * log, which the transactions that run would have to wait for.
   */
  private tell(): void {
    if (this.unitOfWork.open > 0) {
      this.gathering ??= setTimeout(() => this.wake(), GATHERING_MS).unref();
    } else this.wake();
  }

  private wake(): void {
    if (this.gathering) clearTimeout(this.gathering);
    this.gathering = null;
    this.connections.announce();
  }

  subscribe(
    pattern: string,
    handler: EventHandler,
    options: SubscriptionOptions,
  ): EventSubscription {
    if (options.durable) return this.durable.subscribe(pattern, handler, options);
    return this.dispatcher.subscribe(pattern, handler, options.name);
  }

  unsubscribe(subscription: EventSubscription): void {
    this.dispatcher.unsubscribe(subscription);
    this.durable.unsubscribe(subscription);
  }
}

/** Types of others' are no labels: there may be any number of them. */
function isCatalogued(type: string): boolean {
  return Object.hasOwn(EVENT_SCHEMAS, type);
}
