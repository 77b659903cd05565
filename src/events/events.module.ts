import {
  Global,
  Inject,
  Module,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
} from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { EVENT_BROKER, type EventBroker } from '../core/contracts/event-broker.js';
import { EVENT_BUS } from '../core/contracts/event-bus.js';
import { HANDLED_EVENTS } from '../core/contracts/handled-events.js';
import { bind, bindFactory } from '../core/token.js';
import { CONFIG, type Config } from '../platform/config/config.js';
import { brokerOf } from './brokers/broker-registry.js';
import { BusConnections } from './bus-connections.js';
import { Dispatcher } from './dispatcher.js';
import { EventHandlers } from './event-handlers.js';
import { Forwarding } from './forwarding/forwarding.js';
import { REMOTE_BUS, remoteBusOf } from './forwarding/remote-bus.js';
import { HandlerCalls } from './handler-calls.js';
import { LiveFeed } from './live-feed.js';
import { LogReader } from './log/log-reader.js';
import { OutboxEventBus } from './outbox-event-bus.js';
import { SqlHandledEvents } from './sql-handled-events.js';
import { DurableSubscriptions } from './subscriptions/durable-subscriptions.js';
import { SubscriptionStore } from './subscriptions/subscription-store.js';

/** What happened, told to whoever subscribes: once it has committed, and at least once. */
@Global()
@Module({
  imports: [DiscoveryModule],
  providers: [
    BusConnections,
    Dispatcher,
    DurableSubscriptions,
    EventHandlers,
    Forwarding,
    HandlerCalls,
    LiveFeed,
    LogReader,
    OutboxEventBus,
    SqlHandledEvents,
    SubscriptionStore,
    bind(EVENT_BUS, OutboxEventBus),
    bind(HANDLED_EVENTS, SqlHandledEvents),
    {
      provide: EVENT_BROKER,
      useFactory: ({ EVENT_BUS_URL }: Config) => brokerOf(EVENT_BUS_URL),
      inject: [CONFIG],
    },
    bindFactory(REMOTE_BUS, { useFactory: remoteBusOf, inject: [CONFIG] }),
  ],
  exports: [
    EVENT_BROKER,
    EVENT_BUS,
    HANDLED_EVENTS,
    BusConnections,
    LiveFeed,
    LogReader,
    OutboxEventBus,
    REMOTE_BUS,
  ],
})
export class EventsModule implements OnApplicationBootstrap, OnModuleDestroy {
  constructor(
    private readonly connections: BusConnections,
    private readonly handlers: EventHandlers,
    private readonly feed: LiveFeed,
    private readonly durable: DurableSubscriptions,
    @Inject(EVENT_BROKER) private readonly broker: EventBroker | null,
  ) {}

  /** By now every module has subscribed what it subscribes itself. */
  async onApplicationBootstrap(): Promise<void> {
    this.handlers.subscribeAll();
    this.connections.start();
    await this.feed.start();
    await this.durable.start();
  }

  async onModuleDestroy(): Promise<void> {
    await Promise.all([this.durable.stop(), this.feed.stop()]);
    await this.broker?.close();
    await this.connections.stop();
    await this.connections.close();
  }
}
