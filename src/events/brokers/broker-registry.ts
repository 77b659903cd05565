import type { BrokerScheme, EventBroker } from '../../core/contracts/event-broker.js';

/** Makes the broker of a URL; its library is loaded no sooner. */
type BrokerFactory = (url: string) => Promise<EventBroker>;

const nats: BrokerFactory = async (url) => new (await import('./nats-broker.js')).NatsBroker(url);
const redis: BrokerFactory = async (url) =>
  new (await import('./redis-broker.js')).RedisBroker(url);
const amqp: BrokerFactory = async (url) => new (await import('./amqp-broker.js')).AmqpBroker(url);
const kafka: BrokerFactory = async (url) =>
  new (await import('./kafka-broker.js')).KafkaBroker(url);

/** Who makes the broker of each scheme. */
const BROKERS: Record<BrokerScheme, BrokerFactory> = {
  nats,
  redis,
  rediss: redis,
  amqp,
  amqps: amqp,
  kafka,
};

/** The broker that `EVENT_BUS_URL` names; null for a URL that names none. @throws InvalidConfig */
export async function brokerOf(url: string): Promise<EventBroker | null> {
  const scheme = new URL(url).protocol.slice(0, -1);
  return scheme in BROKERS ? BROKERS[scheme as BrokerScheme](url) : null;
}
