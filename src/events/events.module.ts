import { Global, Module, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { EVENT_BUS } from '../core/contracts/event-bus.js';
import { bind } from '../core/token.js';
import { Dispatcher } from './dispatcher.js';
import { EventHandlers } from './event-handlers.js';
import { OutboxEventBus } from './outbox-event-bus.js';
import { Relay } from './relay.js';

/** What happened, told to whoever subscribes: once it has committed, and at least once. */
@Global()
@Module({
  imports: [DiscoveryModule],
  providers: [Dispatcher, EventHandlers, OutboxEventBus, Relay, bind(EVENT_BUS, OutboxEventBus)],
  exports: [EVENT_BUS],
})
export class EventsModule implements OnApplicationBootstrap, OnModuleDestroy {
  constructor(
    private readonly handlers: EventHandlers,
    private readonly relay: Relay,
  ) {}

  /** By now every module has subscribed what it subscribes itself. */
  onApplicationBootstrap(): void {
    this.handlers.subscribeAll();
    this.relay.start();
  }

  onModuleDestroy(): Promise<void> {
    return this.relay.stop();
  }
}
