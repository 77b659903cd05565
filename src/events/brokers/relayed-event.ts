import type { BrokerMessage } from '../../core/contracts/event-broker.js';
import type { DomainEvent } from '../../core/contracts/event-bus.js';
import type { LogEntry } from '../log/entry-source.js';
import { parseCursor, toCursor, type LogPosition } from '../log/log-position.js';

/** Brokers refuse what is larger than a mebibyte, most of them. */
const MAX_BODY_BYTES = 512 * 1024;

/** An event as it comes out of a broker. */
export interface RelayedEvent {
  readonly entry: LogEntry;
  /** The position that it follows: nothing in the log lies between. */
  readonly after: LogPosition;
}

/**
 * The event as it travels: a CloudEvents record with two extension attributes, its own `cursor` and,
 * as `after`, that of the event before it in the log. By these a reader knows what it has missed.
 * One that is too large for a broker goes without its data, and says where that is (`dataref`,
 * https://github.com/cloudevents/spec/blob/main/cloudevents/extensions/dataref.md).
 */
export function toMessage({ event, position }: LogEntry, previous: LogPosition): BrokerMessage {
  const [cursor, after] = [toCursor(position), toCursor(previous)];
  const { type, subject } = event;
  const body = JSON.stringify({ ...event, cursor, after });
  if (Buffer.byteLength(body) <= MAX_BODY_BYTES) return { type, subject, cursor, body };
  const dataref = `/api/v1/events?after=${after}&limit=1`;
  const claim = JSON.stringify({ ...event, data: undefined, dataref, cursor, after });
  return { type, subject, cursor, body: claim };
}

/** Reads what `toMessage` wrote; null for what is not there whole, or is somebody else's. */
export function fromMessage(body: string): RelayedEvent | null {
  try {
    const { cursor, after, ...event } = JSON.parse(body) as DomainEvent & Record<string, string>;
    const [position, previous] = [parseCursor(String(cursor)), parseCursor(String(after))];
    if (!position || !previous || typeof event.type !== 'string') return null;
    if (event.data === undefined) return null;
    return { entry: { position, event }, after: previous };
  } catch {
    return null;
  }
}
