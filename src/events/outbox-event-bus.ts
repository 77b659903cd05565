import { Inject, Injectable, Logger } from '@nestjs/common';
import type { Counter } from 'prom-client';
import type {
  EventBus,
  EventHandler,
  EventSubscription,
  NewEvent,
  SubscriptionOptions,
} from '../core/contracts/event-bus.js';
import { UNIT_OF_WORK, type Tx, type UnitOfWork } from '../core/contracts/unit-of-work.js';
import type { EventCatalog, EventType } from '../core/events/catalog.js';
import type { EventId } from '../core/ids.js';
import { Metrics } from '../platform/metrics/metrics.js';
import { Dispatcher } from './dispatcher.js';
import { append, lagSeconds } from './outbox.js';
import { Relay } from './relay.js';

/** The bus: publishing writes into the log, and the relay tells what has committed. */
@Injectable()
export class OutboxEventBus implements EventBus {
  private readonly logger = new Logger(OutboxEventBus.name);
  private readonly published: Counter<'type'>;

  constructor(
    private readonly dispatcher: Dispatcher,
    private readonly relay: Relay,
    @Inject(UNIT_OF_WORK) unitOfWork: UnitOfWork,
    metrics: Metrics,
  ) {
    this.published = metrics.counter('varve_events_published_total', 'Events that have committed', [
      'type',
    ]);
    metrics.gauge(
      'varve_event_lag_seconds',
      'For how long the oldest event that no handler has been told of has been waiting',
      [],
      async (gauge) => {
        try {
          gauge.set(await unitOfWork.read(lagSeconds));
        } catch (error) {
          // The other metrics are wanted all the more while the database is away.
          this.logger.warn({ err: error }, 'The event lag could not be read');
          gauge.set(NaN);
        }
      },
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

  async publishAll(tx: Tx, events: readonly NewEvent[]): Promise<EventId[]> {
    if (events.length === 0) return [];
    const ids = await append(tx, events);
    tx.afterCommit(() => {
      for (const { type } of events) this.published.inc({ type });
      this.relay.wake();
    });
    return ids;
  }

  subscribe(
    pattern: string,
    handler: EventHandler,
    options: SubscriptionOptions,
  ): EventSubscription {
    return this.dispatcher.subscribe(pattern, handler, options);
  }

  unsubscribe(subscription: EventSubscription): void {
    this.dispatcher.unsubscribe(subscription);
  }
}
