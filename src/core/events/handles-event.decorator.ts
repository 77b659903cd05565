import { SetMetadata } from '@nestjs/common';
import type { EventPattern, MatchedEvent } from './event-pattern.js';

/** What a handler method is subscribed to. */
export interface EventHandling {
  readonly pattern: string;
  /** Names the subscription; one of a kind. */
  readonly name: string;
}

/** Where the bus finds a method's subscription. */
export const EVENT_HANDLING = Symbol('EVENT_HANDLING');

/**
 * Calls a provider's method for each event whose type matches the pattern: a type, or one with
 * wildcards (`dataset.*` one segment, `dataset.**` any). The method may see an event twice.
 */
export const HandlesEvent =
  <Pattern extends EventPattern>(pattern: Pattern, { name }: { name: string }) =>
  <Method extends (event: MatchedEvent<Pattern>) => Promise<void> | void>(
    target: object,
    key: string | symbol,
    descriptor: TypedPropertyDescriptor<Method>,
  ): void => {
    SetMetadata(EVENT_HANDLING, { pattern, name } satisfies EventHandling)(target, key, descriptor);
  };
