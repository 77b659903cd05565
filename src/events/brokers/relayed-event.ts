import type { BrokerMessage } from '../../core/contracts/event-broker.js';
import type { DomainEvent } from '../../core/contracts/event-bus.js';
import type { LogEntry } from '../log/event-log.js';
import { parseCursor, toCursor, type LogPosition } from '../log/log-position.js';

/** An event as it comes out of a broker. */
export interface RelayedEvent {
  readonly entry: LogEntry;
  /** The position that it follows: nothing in the log lies between. */
  readonly after: LogPosition;
}

/**
 * The event as it travels: a CloudEvents record with two extension attributes, its own `cursor` and,
 * as `after`, that of the event before it in the log. By these a reader knows what it has missed.
 */
export function toMessage({ event, position }: LogEntry, after: LogPosition): BrokerMessage {
  const cursor = toCursor(position);
  return {
    type: event.type,
    subject: event.subject,
    cursor,
    body: JSON.stringify({ ...event, cursor, after: toCursor(after) }),
  };
}

/** Reads what `toMessage` wrote; null for what somebody else has put into the broker. */
export function fromMessage(body: string): RelayedEvent | null {
  try {
    const { cursor, after, ...event } = JSON.parse(body) as DomainEvent & Record<string, string>;
    const [position, previous] = [parseCursor(String(cursor)), parseCursor(String(after))];
    if (!position || !previous || typeof event.type !== 'string') return null;
    return { entry: { position, event }, after: previous };
  } catch {
    return null;
  }
}
