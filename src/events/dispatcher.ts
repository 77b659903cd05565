import { Inject, Injectable, Logger } from '@nestjs/common';
import { EventEmitter2 } from '@nestjs/event-emitter';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Counter } from 'prom-client';
import type {
  DomainEvent,
  EventHandler,
  EventSubscription,
  SubscriptionOptions,
} from '../core/contracts/event-bus.js';
import { checkEventPattern, matchesEventPattern } from '../core/events/event-pattern.js';
import { CONFIG, type Config } from '../platform/config/config.js';
import { RequestContext } from '../platform/logging/request-context.js';
import { Metrics } from '../platform/metrics/metrics.js';

/** How long to wait before each further attempt. */
const BACKOFF_MS = [200, 1_000];

/** The handler did not come to an end in time. It may still be at work: it is not called again. */
class HandlerTimedOut extends Error {
  constructor(limitMs: number) {
    super(`The handler took longer than ${limitMs} ms; what takes long is a job's work.`);
    this.name = 'HandlerTimedOut';
  }
}

interface Subscription extends EventSubscription {
  /** Gives a promise that EventEmitter2 awaits, and that is never rejected. */
  readonly listener: (event: DomainEvent) => unknown;
}

/** Hands events to the handlers in this process, each apart from the others. */
@Injectable()
export class Dispatcher {
  private readonly logger = new Logger(Dispatcher.name);
  private readonly emitter = new EventEmitter2({
    wildcard: true,
    delimiter: '.',
    maxListeners: 0,
  });
  private readonly subscriptions = new Map<string, Subscription>();
  private readonly handled: Counter<'subscription' | 'outcome'>;

  constructor(
    @Inject(CONFIG) private readonly config: Pick<Config, 'EVENT_HANDLER_TIMEOUT'>,
    metrics: Metrics,
  ) {
    this.handled = metrics.counter(
      'varve_events_handled_total',
      'Events that handlers were called for, by how that ended',
      ['subscription', 'outcome'],
    );
  }

  /** @throws InvalidEventPattern */
  subscribe(
    pattern: string,
    handler: EventHandler,
    { name }: SubscriptionOptions,
  ): EventSubscription {
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
    await RequestContext.run(event.correlationid ?? event.id, () =>
      this.emitter.emitAsync(event.type, event),
    );
  }

  private async handle(name: string, handler: EventHandler, event: DomainEvent): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      try {
        await within(this.config.EVENT_HANDLER_TIMEOUT, async () => handler(event));
        return this.handled.inc({ subscription: name, outcome: 'handled' });
      } catch (error) {
        const pause = error instanceof HandlerTimedOut ? undefined : BACKOFF_MS[attempt];
        if (pause === undefined) {
          this.logger.error(
            { err: error, subscription: name, eventId: event.id, type: event.type },
            'An event could not be handled',
          );
          return this.handled.inc({ subscription: name, outcome: 'failed' });
        }
        // Half of it at random, lest handlers that failed together try again together.
        await sleep(pause * (0.5 + Math.random() / 2));
      }
    }
  }
}

async function within(limitMs: number, work: () => Promise<void>): Promise<void> {
  const ended = new AbortController();
  const limit = async () => {
    await sleep(limitMs, null, { signal: ended.signal, ref: false });
    throw new HandlerTimedOut(limitMs);
  };
  try {
    await Promise.race([work(), limit()]);
  } finally {
    ended.abort();
  }
}
