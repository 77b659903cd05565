import type { EventCatalog, EventType } from '../events/catalog.js';
import type { EventId } from '../ids.js';
import { token } from '../token.js';
import type { Tx } from './unit-of-work.js';

/** A CloudEvents 1.0 record (https://github.com/cloudevents/spec) of something that happened. */
export interface DomainEvent<T extends EventType = EventType> {
  readonly specversion: '1.0';
  /** The same for every delivery of the event: what makes handling it twice harmless. */
  readonly id: EventId;
  readonly source: string;
  readonly type: T;
  /** What it is about, such as `dataset/12`. */
  readonly subject: string;
  /** The database's time, RFC 3339. */
  readonly time: string;
  readonly datacontenttype: 'application/json';
  /** The request that it came from; passed on to what a handler publishes. */
  readonly correlationid: string | null;
  readonly data: EventCatalog[T];
}

/** An event that is yet to be published. */
export type NewEvent = {
  [T in EventType]: {
    readonly type: T;
    readonly subject: string;
    readonly data: EventCatalog[T];
    /** The request it belongs to; the running one's unless told. */
    readonly correlationId?: string | null;
  };
}[EventType];

/** What a handler is told besides the event. */
export interface EventContext {
  /** 1 for the first time that it is handled, as far as that is known. */
  readonly attempt: number;
  /** Aborted once the handler has been given up: what it still does counts for nothing. */
  readonly signal: AbortSignal;
}

export type EventHandler = (event: DomainEvent, context: EventContext) => Promise<void> | void;

export interface SubscriptionOptions {
  /** Names the subscription in logs, metrics and, where it is durable, its position. */
  readonly name: string;
  /**
   * Whether the name has a position in the log, which all processes share: each event is handled by
   * one of them, after a crash it goes on where it was, what fails is tried again and then kept as a
   * dead letter, and events of one subject are handled in their order. Otherwise every process that
   * subscribes is told, for as long as it runs.
   */
  readonly durable?: boolean;
  /** How often an event is handled before it is given up; 3 unless told. */
  readonly attempts?: number;
  /** How long after a first failure it is tried again; each further pause is four times as long. */
  readonly backoffMs?: number;
  /** How many events, of different subjects, are handled at a time by a durable one; 16 unless told. */
  readonly concurrency?: number;
}

/** A subscription that is running. */
export interface EventSubscription {
  readonly name: string;
  readonly pattern: string;
}

/**
 * Publishing joins the caller's transaction: the event is told if and only if it commits, at least
 * once. Handlers run apart from the publisher and from each other.
 */
export interface EventBus {
  publish<T extends EventType>(
    tx: Tx,
    type: T,
    subject: string,
    data: EventCatalog[T],
  ): Promise<EventId>;

  /** Publishes several events in this order. They are written with the commit, in no statement before. */
  publishAll(tx: Tx, events: readonly NewEvent[]): Promise<EventId[]>;

  /**
   * Calls `handler` for each event whose type matches.
   * @param pattern a type, or one with wildcards: `dataset.*` matches one segment, `dataset.**` any
   */
  subscribe(
    pattern: string,
    handler: EventHandler,
    options: SubscriptionOptions,
  ): EventSubscription;

  unsubscribe(subscription: EventSubscription): void;
}

export const EVENT_BUS = token<EventBus>('EVENT_BUS');
