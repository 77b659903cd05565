import { token } from '../token.js';

/** What `EVENT_BUS_URL` can name a broker by. */
export const BROKER_SCHEMES = ['nats', 'redis', 'rediss', 'amqp', 'amqps', 'kafka'] as const;
export type BrokerScheme = (typeof BROKER_SCHEMES)[number];

/** An event as it is given to a broker. */
export interface BrokerMessage {
  /** The event's type: what readers of the broker choose by. */
  readonly type: string;
  /** What the event is about; what has an order has it by this. */
  readonly subject: string;
  /** Where the event stands in the log. */
  readonly cursor: string;
  /** A CloudEvents 1.0 record as JSON. */
  readonly body: string;
}

/** A message that a broker has given to a group. */
export interface BrokerDelivery {
  readonly body: string;
  /** Says that it is done with. What is told while the broker is away may be lost. */
  ack(): void;
}

/** A member of a group: what it has taken and not acknowledged, the group is given again. */
export interface BrokerConsumer {
  /** Whether the broker serves it now; otherwise it is waiting for the broker to come back. */
  readonly isAttached: boolean;
  /** Leaves the group. What has not been acknowledged is for the next who joins. */
  close(): Promise<void>;
}

/**
 * A broker that events are relayed to, and groups consume them from. It keeps the newest of them,
 * within a bound, and may lose, repeat and reorder: the log decides what there is, and its cursors
 * tell what is missing. Whatever state the broker is in, making one and `consume` neither wait nor
 * throw; connections come back by themselves.
 */
export interface EventBroker {
  /** What it is called in logs and in health: scheme, host and name, and never a password. */
  readonly address: string;

  /** Resolves where the broker answers. @throws what keeps it from answering */
  check(): Promise<void>;

  /**
   * The cursor of the last message in its store; null where it has none, being new or wiped.
   * What is published next goes after this.
   */
  newest(): Promise<string | null>;

  /**
   * Appends messages in their order; resolves once the broker has them all. Rejects within a few
   * seconds where it is away; and, as far as it can tell, where its store does not end any more with
   * what this process saw or put there last. How many it took is then to be asked of `newest`.
   */
  publish(messages: readonly BrokerMessage[]): Promise<void>;

  /**
   * Joins a group, which gets every message that is published from its first member on. `receive` is
   * given what comes, in order, up to a thousand messages ahead of what has been acknowledged; it
   * must neither throw nor take long.
   */
  consume(group: string, receive: (deliveries: readonly BrokerDelivery[]) => void): BrokerConsumer;

  close(): Promise<void>;
}

/** The broker that `EVENT_BUS_URL` names; null where there is none. */
export const EVENT_BROKER = token<EventBroker | null>('EVENT_BROKER');
