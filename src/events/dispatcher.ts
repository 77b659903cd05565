import { Injectable, Logger } from '@nestjs/common';
import { EventEmitter2 } from '@nestjs/event-emitter';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DomainEvent, EventHandler, EventSubscription } from '../core/contracts/event-bus.js';
import { checkEventPattern, matchesEventPattern } from '../core/events/event-pattern.js';
import { HandlerCalls, HandlerTimedOut } from './handler-calls.js';

/** How long to wait before each further attempt. */
const BACKOFF_MS = [200, 1_000];

interface Subscription extends EventSubscription {
  /** Gives a promise that EventEmitter2 awaits, and that is never rejected. */
  readonly listener: (event: DomainEvent) => unknown;
}

/** Hands events to the subscribers of this process that have no position, each apart from the others. */
@Injectable()
export class Dispatcher {
  private readonly logger = new Logger(Dispatcher.name);
  private readonly emitter = new EventEmitter2({
    wildcard: true,
    delimiter: '.',
    maxListeners: 0,
  });
  private readonly subscriptions = new Map<string, Subscription>();

  constructor(private readonly calls: HandlerCalls) {}

  /** @throws InvalidEventPattern */
  subscribe(pattern: string, handler: EventHandler, name: string): EventSubscription {
    checkEventPattern(pattern);
    if (this.subscriptions.has(name)) throw new Error(`Two subscriptions are named ${name}.`);
    const listener: Subscription['listener'] = async (event) => {
      // EventEmitter2 takes `*` and `**` in a row to match a segment less than they say.
      if (matchesEventPattern(pattern, event.type)) await this.handle(name, handler, event);
    };
    const subscription: Subscription = { name, pattern, listener };
    this.subscriptions.set(name, subscription);
    this.emitter.on(pattern, listener);
    return subscription;
  }

  unsubscribe({ name }: EventSubscription): void {
    const subscription = this.subscriptions.get(name);
    if (!subscription) return;
    this.subscriptions.delete(name);
    this.emitter.off(subscription.pattern, subscription.listener);
  }

  /** Resolves once every handler has done with the event, in success or not. Never throws. */
  async dispatch(event: DomainEvent): Promise<void> {
    if (this.subscriptions.size > 0) await this.emitter.emitAsync(event.type, event);
  }

  private async handle(name: string, handler: EventHandler, event: DomainEvent): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        await this.calls.call(handler, event, attempt);
        return this.calls.count(name, 'handled');
      } catch (error) {
        // A handler that took too long may still be at work: it is not called again beside itself.
        const pause = error instanceof HandlerTimedOut ? undefined : BACKOFF_MS[attempt - 1];
        if (pause === undefined) {
          this.logger.error(
            { err: error, subscription: name, eventId: event.id, type: event.type },
            'An event could not be handled',
          );
          return this.calls.count(name, 'failed');
        }
        // Half of it at random, lest handlers that failed together try again together.
        await sleep(pause * (0.5 + Math.random() / 2));
      }
    }
  }
}
