import { Producer, stringSerializers } from '@platformatic/kafka';
import { Logger } from '@nestjs/common';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type {
  BrokerConsumer,
  BrokerDelivery,
  BrokerMessage,
  EventBroker,
} from '../../core/contracts/event-broker.js';
import { Alarm } from '../alarm.js';
import { MAX_UNACKNOWLEDGED } from './broker-errors.js';
import { parseBrokerUrl, type BrokerUrl } from './broker-url.js';
import { clientOptions, KafkaTopic, PARTITION } from './kafka-topic.js';
import { Lasting } from './lasting.js';
import { within } from './within.js';

const PORT = 9092;
const TIMEOUT_MS = 5_000;
/** What a broker that is asked for the last time may take. */
const GRACE_MS = 1_000;
const PAUSE_MS = 500;
const ALL_REPLICAS = -1;

/** Kafka: one topic, all of it in its first partition; groups by their committed offsets. */
export class KafkaBroker implements EventBroker {
  readonly address: string;
  private readonly logger = new Logger(KafkaBroker.name);
  private readonly options: BrokerUrl;
  private readonly producer: Producer<string, string, string, string>;

  constructor(url: string) {
    this.options = parseBrokerUrl(url, PORT);
    this.address = this.options.address;
    this.producer = new Producer({
      ...clientOptions(this.options),
      serializers: stringSerializers,
    });
  }

  async check(): Promise<void> {
    await this.within(this.producer.metadata({ topics: [], forceUpdate: true }));
  }

  async newest(): Promise<string | null> {
    // Each time anew: who leads the topic may have changed.
    const topic = new KafkaTopic(this.options, 'relay');
    const looking = async () => {
      const { start, end } = await topic.bounds();
      if (start === end) return null;
      return (await topic.read(end - 1n)).at(-1)?.cursor ?? null;
    };
    try {
      return await this.within(looking());
    } finally {
      await topic.close();
    }
  }

  async publish(messages: readonly BrokerMessage[]): Promise<void> {
    const records = messages.map(({ type, subject, cursor, body }) => ({
      topic: this.options.name,
      partition: PARTITION,
      key: subject,
      value: body,
      headers: { cursor, type, 'content-type': 'application/cloudevents+json' },
    }));
    await this.within(this.producer.send({ messages: records, acks: ALL_REPLICAS }));
  }

  consume(group: string, receive: (deliveries: readonly BrokerDelivery[]) => void): BrokerConsumer {
    let isAttached = false;
    const session = new Lasting(
      async (signal) => {
        const topic = new KafkaTopic(this.options, group);
        try {
          const from = await Promise.race([join(topic), graceAfter(signal)]);
          if (from === undefined) return;
          isAttached = true;
          await Promise.race([read(topic, from, receive, signal), graceAfter(signal)]);
        } finally {
          isAttached = false;
          await topic.close();
        }
      },
      (error) => this.logger.debug({ err: error, group }, `${this.address} does not serve a group`),
    );
    return {
      get isAttached() {
        return isAttached;
      },
      close: () => session.close(),
    };
  }

  async close(): Promise<void> {
    // It is not waited for longer: a broker that is away would not answer.
    await Promise.race([this.producer.close(), sleep(GRACE_MS, null, { ref: false })]);
  }

  private within<T>(answer: Promise<T>): Promise<T> {
    return within(TIMEOUT_MS, this.address, answer);
  }
}

/** Resolves a little after the signal is aborted: what still runs then is left to itself. */
async function graceAfter(signal: AbortSignal): Promise<undefined> {
  if (!signal.aborted) await once(signal, 'abort');
  await sleep(GRACE_MS, null, { ref: false });
}

/** Where the group goes on: at its offset, if the topic still has that, and otherwise at the end. */
async function join(topic: KafkaTopic): Promise<bigint> {
  const { start, end } = await topic.bounds();
  const committed = await topic.committed();
  if (committed !== null && committed >= start && committed <= end) return committed;
  await topic.commit(end);
  return end;
}

/** Reads from an offset on, and commits what has been acknowledged, until the signal is aborted. */
async function read(
  topic: KafkaTopic,
  from: bigint,
  receive: (deliveries: readonly BrokerDelivery[]) => void,
  signal: AbortSignal,
): Promise<void> {
  const held = new Set<bigint>();
  const acknowledged = new Alarm();
  signal.addEventListener('abort', () => acknowledged.ring(), { once: true });
  let next = from;
  let committed = from;
  const commit = async () => {
    // In the order in which they came: the first is the oldest.
    const [oldest = next] = held;
    if (oldest !== committed) await topic.commit(oldest);
    committed = oldest;
  };
  while (!signal.aborted) {
    const room = MAX_UNACKNOWLEDGED - held.size;
    if (room > 0) {
      const records = (await topic.read(next)).slice(0, room);
      const deliveries = records.map(({ offset, value }): BrokerDelivery => {
        held.add(offset);
        const ack = () => {
          if (held.delete(offset)) acknowledged.ring();
        };
        return { body: value, ack };
      });
      next = (records.at(-1)?.offset ?? next - 1n) + 1n;
      if (deliveries.length > 0) receive(deliveries);
    } else {
      await acknowledged.sleep(PAUSE_MS);
    }
    await commit();
  }
  await commit();
}
