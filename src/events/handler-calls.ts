import { Inject, Injectable } from '@nestjs/common';
import type { Counter } from 'prom-client';
import type { DomainEvent, EventHandler } from '../core/contracts/event-bus.js';
import { CONFIG, type Config } from '../platform/config/config.js';
import { RequestContext } from '../platform/logging/request-context.js';
import { Metrics } from '../platform/metrics/metrics.js';

/** The handler did not come to an end in time. It may still be at work. */
export class HandlerTimedOut extends Error {
  constructor(limitMs: number) {
    super(`The handler took longer than ${limitMs} ms; what takes long is a job's work.`);
    this.name = 'HandlerTimedOut';
  }
}

/** Calls handlers: within a limit, as part of the request that the event came from. */
@Injectable()
export class HandlerCalls {
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

  get limitMs(): number {
    return this.config.EVENT_HANDLER_TIMEOUT;
  }

  /** @throws what the handler throws, HandlerTimedOut */
  async call(handler: EventHandler, event: DomainEvent, attempt: number): Promise<void> {
    const ended = new AbortController();
    const context = { attempt, signal: ended.signal };
    const work = RequestContext.run(event.correlationid ?? event.id, () => handler(event, context));
    if (work === undefined) return;
    const { promise: late, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => reject(new HandlerTimedOut(this.limitMs)), this.limitMs).unref();
    try {
      await Promise.race([work, late]);
    } catch (error) {
      ended.abort(error);
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  count(subscription: string, outcome: 'handled' | 'failed', events = 1): void {
    this.handled.inc({ subscription, outcome }, events);
  }
}
