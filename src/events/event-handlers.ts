import { Injectable } from '@nestjs/common';
import { DiscoveryService, MetadataScanner, Reflector } from '@nestjs/core';
import type { EventHandler } from '../core/contracts/event-bus.js';
import { EVENT_HANDLING, type EventHandling } from '../core/events/handles-event.decorator.js';
import { OutboxEventBus } from './outbox-event-bus.js';

/** Finds the methods that `@HandlesEvent` marks, in all providers, and subscribes them. */
@Injectable()
export class EventHandlers {
  constructor(
    private readonly discovery: DiscoveryService,
    private readonly scanner: MetadataScanner,
    private readonly reflector: Reflector,
    private readonly bus: OutboxEventBus,
  ) {}

  subscribeAll(): void {
    // A class bound to a token as well is found twice, but is one instance.
    const instances = new Set(
      [...this.discovery.getProviders(), ...this.discovery.getControllers()]
        .filter((wrapper) => wrapper.isDependencyTreeStatic())
        .map((wrapper) => wrapper.instance as unknown),
    );
    for (const instance of instances) {
      if (typeof instance === 'object' && instance !== null) this.subscribe(instance);
    }
  }

  private subscribe(instance: object): void {
    const prototype = Object.getPrototypeOf(instance) as Record<string, EventHandler> | null;
    if (prototype === null) return;
    for (const name of this.scanner.getAllMethodNames(prototype)) {
      const method = prototype[name];
      const handling =
        typeof method === 'function' &&
        this.reflector.get<EventHandling | undefined>(EVENT_HANDLING, method);
      if (!handling) continue;
      const handler: EventHandler = (event, context) =>
        Reflect.apply(method, instance, [event, context]);
      this.bus.subscribe(handling.pattern, handler, handling.options);
    }
  }
}
