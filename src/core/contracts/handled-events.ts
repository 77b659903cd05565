import { token } from '../token.js';
import type { DomainEvent } from './event-bus.js';
import type { Tx } from './unit-of-work.js';

/** Makes a handler idempotent: events come at least once, what they set off must not. */
export interface HandledEvents {
  /**
   * Does the work in one transaction with the note that it was done for this event; where it has
   * been done before, nothing. Two that do it at once wait for each other.
   * @param handler names what is done; the same for every event
   * @returns whether the work was done now
   */
  once(
    handler: string,
    event: Pick<DomainEvent, 'id'>,
    work: (tx: Tx) => Promise<void>,
  ): Promise<boolean>;
}

export const HANDLED_EVENTS = token<HandledEvents>('HANDLED_EVENTS');
