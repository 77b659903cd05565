import { Logger } from '@nestjs/common';
import { connect, type Channel, type ChannelModel, type ConfirmChannel } from 'amqplib';
import { once } from 'node:events';
import type {
  BrokerConsumer,
  BrokerDelivery,
  BrokerMessage,
  EventBroker,
} from '../../core/contracts/event-broker.js';
import { BrokerAway, MAX_UNACKNOWLEDGED } from './broker-errors.js';
import { parseBrokerUrl, type BrokerUrl } from './broker-url.js';
import { Lasting } from './lasting.js';
import { within } from './within.js';

const PORT = { 'amqp:': 5672, 'amqps:': 5671 };
const TIMEOUT_MS = 5_000;
const HEARTBEAT_S = 5;
/** How often a group's queue is bound anew: who deletes an exchange deletes its bindings silently. */
const REBIND_MS = 10_000;
/** What a queue holds for a group that is away; the rest is read from the log. */
const QUEUE_LENGTH = 10_000;
/** After this long a queue that nobody has used is taken away. */
const QUEUE_EXPIRES_MS = 24 * 60 * 60 * 1000;
const ALL = '#';

/**
 * RabbitMQ and what else speaks AMQP 0-9-1: a topic exchange with events routed by their type, groups
 * as queues of their own. An exchange keeps nothing, so a queue of length one keeps the last message.
 */
export class AmqpBroker implements EventBroker {
  readonly address: string;
  private readonly logger = new Logger(AmqpBroker.name);
  private readonly options: BrokerUrl;
  private readonly connection: Lasting;
  private client: ChannelModel | null = null;
  private channel: ConfirmChannel | null = null;
  private isAway = false;

  constructor(url: string) {
    this.options = parseBrokerUrl(url, PORT[new URL(url).protocol as keyof typeof PORT]);
    this.address = this.options.address;
    this.connection = new Lasting(
      (signal) => this.connect(signal),
      (error) => {
        // Once, and not for each attempt to come back.
        if (!this.isAway) this.logger.warn({ err: error }, `${this.address} cannot be reached`);
        this.isAway = true;
      },
    );
  }

  async check(): Promise<void> {
    const { name } = this.options;
    await within(TIMEOUT_MS, this.address, declareExchange(this.connected(), name));
  }

  async newest(): Promise<string | null> {
    const channel = this.connected();
    const queue = `${this.options.name}.last`;
    const looking = (async () => {
      await declareExchange(channel, this.options.name);
      await channel.assertQueue(queue, { durable: true, maxLength: 1 });
      await channel.bindQueue(queue, this.options.name, ALL);
      const message = await channel.get(queue, { noAck: false });
      if (message === false) return null;
      channel.nack(message, false, true);
      const cursor: unknown = message.properties.headers?.['cursor'];
      return typeof cursor === 'string' ? cursor : null;
    })();
    return within(TIMEOUT_MS, this.address, looking);
  }

  async publish(messages: readonly BrokerMessage[]): Promise<void> {
    const channel = this.connected();
    for (const { type, cursor, subject, body } of messages) {
      channel.publish(this.options.name, type, Buffer.from(body), {
        persistent: true,
        contentType: 'application/cloudevents+json',
        headers: { cursor, subject },
      });
    }
    await within(TIMEOUT_MS, this.address, channel.waitForConfirms());
  }

  consume(group: string, receive: (deliveries: readonly BrokerDelivery[]) => void): BrokerConsumer {
    let isAttached = false;
    const session = new Lasting(
      async (signal) => {
        if (!this.client) throw new BrokerAway(this.address);
        const channel = await this.client.createChannel();
        const ended = once(channel, 'close').catch(() => undefined);
        channel.on('error', () => undefined);
        const end = () => void channel.close().catch(() => undefined);
        let rebinding: NodeJS.Timeout | undefined;
        try {
          const queue = await this.bindQueue(channel, group);
          await channel.prefetch(MAX_UNACKNOWLEDGED);
          await channel.consume(queue, (message) => {
            // The queue has been deleted.
            if (!message) return end();
            receive([
              { body: message.content.toString(), ack: () => acknowledge(channel, message) },
            ]);
          });
          rebinding = setInterval(() => {
            this.bindQueue(channel, group).catch(() => undefined);
          }, REBIND_MS).unref();
          signal.addEventListener('abort', end);
          if (signal.aborted) end();
          isAttached = true;
          await ended;
        } finally {
          isAttached = false;
          clearInterval(rebinding);
          signal.removeEventListener('abort', end);
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
    await this.connection.close();
  }

  private async connect(signal: AbortSignal): Promise<void> {
    const { host, port, username, password, path, url } = this.options;
    const client = await connect(
      {
        protocol: url.protocol.slice(0, -1),
        hostname: host,
        port,
        username: username ?? 'guest',
        password: password ?? 'guest',
        vhost: path || '/',
        heartbeat: HEARTBEAT_S,
      },
      { timeout: TIMEOUT_MS, servername: host },
    );
    const closed = new Promise<void>((resolve) => client.once('close', () => resolve()));
    client.on('error', () => undefined);
    const end = () => void client.close().catch(() => undefined);
    try {
      const channel = await client.createConfirmChannel();
      channel.on('error', () => undefined);
      // What closes it, such as publishing into an exchange that is gone, is begun again whole.
      channel.once('close', end);
      this.client = client;
      this.channel = channel;
      this.isAway = false;
      signal.addEventListener('abort', end);
      if (signal.aborted) end();
      await closed;
    } finally {
      signal.removeEventListener('abort', end);
      this.client = null;
      this.channel = null;
    }
  }

  private connected(): ConfirmChannel {
    if (!this.channel) throw new BrokerAway(this.address);
    return this.channel;
  }

  /** Makes the group's queue where it is missing, and gives its name. */
  private async bindQueue(channel: Channel, group: string): Promise<string> {
    const { name } = this.options;
    const queue = `${name}.group.${group}`;
    await declareExchange(channel, name);
    await channel.assertQueue(queue, {
      durable: true,
      maxLength: QUEUE_LENGTH,
      expires: QUEUE_EXPIRES_MS,
    });
    await channel.bindQueue(queue, name, ALL);
    return queue;
  }
}

async function declareExchange(channel: Channel, name: string): Promise<void> {
  await channel.assertExchange(name, 'topic', { durable: true });
}

/** On a channel that has been closed there is nothing left to acknowledge. */
function acknowledge(channel: Channel, message: Parameters<Channel['ack']>[0]): void {
  try {
    channel.ack(message);
  } catch {
    // The queue gives it to the next.
  }
}
