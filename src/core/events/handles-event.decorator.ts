import { SetMetadata } from '@nestjs/common';
import type { EventContext, SubscriptionOptions } from '../contracts/event-bus.js';
import type { EventPattern, MatchedEvent } from './event-pattern.js';

/** What a handler method is subscribed to. */
export interface EventHandling {
  readonly pattern: string;
  readonly options: SubscriptionOptions;
}

/** Where the bus finds a method's subscription. */
export const EVENT_HANDLING = Symbol('EVENT_HANDLING');

/**
 * Calls a provider's method for each event whose type matches the pattern: a type, or one with
 * wildcards (`dataset.*` one segment, `dataset.**` any). The subscription is durable unless told:
 * the method may see an event twice, by the same id, but never misses one.
 */
export const HandlesEvent =
  <Pattern extends EventPattern>(pattern: Pattern, options: SubscriptionOptions) =>
  <Method extends (event: MatchedEvent<Pattern>, context: EventContext) => Promise<void> | void>(
    target: object,
    key: string | symbol,
    descriptor: TypedPropertyDescriptor<Method>,
  ): void => {
    const handling: EventHandling = { pattern, options: { durable: true, ...options } };
    SetMetadata(EVENT_HANDLING, handling)(target, key, descriptor);
  };
