import {
  AckPolicy,
  DeliverPolicy,
  DiscardPolicy,
  jetstream,
  JetStreamApiCodes,
  JetStreamApiError,
  jetstreamManager,
  StorageType,
  type ConsumerMessages,
  type JetStreamManager,
  type JsMsg,
  type StreamInfo,
} from '@nats-io/jetstream';
import { connect, headers, nanos, type NatsConnection } from '@nats-io/transport-node';
import { Logger } from '@nestjs/common';
import type {
  BrokerConsumer,
  BrokerDelivery,
  BrokerMessage,
  EventBroker,
} from '../../core/contracts/event-broker.js';
import { BrokerAway, BrokerMoved, MAX_UNACKNOWLEDGED } from './broker-errors.js';
import { parseBrokerUrl, type BrokerUrl } from './broker-url.js';
import { Lasting } from './lasting.js';

const PORT = 4222;
const TIMEOUT_MS = 5_000;
const RECONNECT_MS = 250;
/** After this long a message that nobody acknowledged is given to the group again. */
const ACK_WAIT_MS = 10_000;
/** How long one request for messages stands, and with it how soon a lost one is noticed. */
const PULL_MS = 4_000;
const CURSOR = 'Varve-Cursor';

/**
 * NATS JetStream: one stream over `name.>`, events at `name.` and their type, groups as durable pull
 * consumers. What is published says which sequence it goes after, so that a stream that is not the
 * one seen last takes nothing.
 */
export class NatsBroker implements EventBroker {
  readonly address: string;
  private readonly logger = new Logger(NatsBroker.name);
  private readonly options: BrokerUrl;
  private readonly connection: Lasting;
  private readonly sessions = new Set<ConsumerMessages>();
  private client: NatsConnection | null = null;
  private isConnected = false;
  private lastSequence: number | null = null;

  constructor(url: string) {
    this.options = parseBrokerUrl(url, PORT);
    this.address = this.options.address;
    this.connection = new Lasting(
      (signal) => this.connect(signal),
      (error) => this.logger.warn({ err: error }, `${this.address} cannot be reached`),
    );
  }

  async check(): Promise<void> {
    const client = this.connected();
    await client.rtt();
  }

  async newest(): Promise<string | null> {
    const manager = await this.manager();
    const { state } = await this.stream(manager);
    this.lastSequence = state.last_seq;
    if (state.messages === 0) return null;
    const last = await manager.streams.getMessage(this.options.name, {
      last_by_subj: `${this.options.name}.>`,
    });
    return last?.header.get(CURSOR) || null;
  }

  async publish(messages: readonly BrokerMessage[]): Promise<void> {
    const sequence = this.lastSequence;
    if (sequence === null) throw new BrokerMoved(this.address);
    this.lastSequence = null;
    const stream = jetstream(this.connected(), { timeout: TIMEOUT_MS });
    await Promise.all(
      messages.map(async ({ type, cursor, body }, index) => {
        const head = headers();
        head.set(CURSOR, cursor);
        head.set('Content-Type', 'application/cloudevents+json');
        await stream.publish(`${this.options.name}.${type}`, body, {
          headers: head,
          timeout: TIMEOUT_MS,
          expect: { streamName: this.options.name, lastSequence: sequence + index },
        });
      }),
    );
    this.lastSequence = sequence + messages.length;
  }

  consume(group: string, receive: (deliveries: readonly BrokerDelivery[]) => void): BrokerConsumer {
    let messages: ConsumerMessages | null = null;
    const session = new Lasting(
      async (signal) => {
        messages = await this.join(group);
        const stop = () => void messages?.close();
        signal.addEventListener('abort', stop);
        this.sessions.add(messages);
        const held = new Set<JsMsg>();
        try {
          if (signal.aborted) stop();
          for await (const message of messages) {
            held.add(message);
            const ack = () => {
              if (held.delete(message)) message.ack();
            };
            receive([{ body: message.string(), ack }]);
          }
        } finally {
          signal.removeEventListener('abort', stop);
          this.sessions.delete(messages);
          messages = null;
          // Not at once: the server would answer with them the request for more that ends here.
          if (this.isConnected) for (const message of held) message.nak(PULL_MS);
        }
      },
      (error) => this.logger.debug({ err: error, group }, `${this.address} does not serve a group`),
    );
    const isAttached = () => this.isConnected && messages !== null;
    return {
      get isAttached() {
        return isAttached();
      },
      close: () => session.close(),
    };
  }

  async close(): Promise<void> {
    await this.connection.close();
  }

  private async connect(signal: AbortSignal): Promise<void> {
    const { servers, username, password } = this.options;
    const client = await connect({
      servers: [...servers],
      name: 'varve',
      timeout: TIMEOUT_MS,
      maxReconnectAttempts: -1,
      reconnectTimeWait: RECONNECT_MS,
      ...(username !== undefined &&
        (password === undefined ? { token: username } : { user: username, pass: password })),
    });
    this.client = client;
    this.isConnected = true;
    const stop = () => void client.close();
    signal.addEventListener('abort', stop);
    if (signal.aborted) stop();
    void this.watch(client);
    try {
      const error = await client.closed();
      if (error) throw error;
    } finally {
      signal.removeEventListener('abort', stop);
      this.client = null;
      this.isConnected = false;
    }
  }

  /** After a reconnection nothing of what was there is taken for granted. */
  private async watch(client: NatsConnection): Promise<void> {
    for await (const { type } of client.status()) {
      if (type === 'disconnect') this.isConnected = false;
      if (type !== 'reconnect') continue;
      this.isConnected = true;
      this.lastSequence = null;
      for (const messages of this.sessions) void messages.close();
    }
  }

  private connected(): NatsConnection {
    if (!this.client || !this.isConnected) throw new BrokerAway(this.address);
    return this.client;
  }

  private manager(): Promise<JetStreamManager> {
    return jetstreamManager(this.connected(), { timeout: TIMEOUT_MS, checkAPI: false });
  }

  /** The stream, made where it is missing. */
  private async stream(manager: JetStreamManager): Promise<StreamInfo> {
    const { name, keep, url } = this.options;
    try {
      return await manager.streams.info(name);
    } catch (error) {
      if (!(error instanceof JetStreamApiError && error.code === JetStreamApiCodes.StreamNotFound))
        throw error;
    }
    return manager.streams.add({
      name,
      subjects: [`${name}.>`],
      storage: StorageType.File,
      discard: DiscardPolicy.Old,
      max_msgs: keep,
      num_replicas: Number(url.searchParams.get('replicas') ?? 1),
    });
  }

  private async join(group: string): Promise<ConsumerMessages> {
    const manager = await this.manager();
    await this.stream(manager);
    const { name } = this.options;
    const durable = durableName(group);
    await manager.consumers.add(name, {
      durable_name: durable,
      ack_policy: AckPolicy.Explicit,
      // What came before its first member is nothing to it.
      deliver_policy: DeliverPolicy.New,
      ack_wait: nanos(ACK_WAIT_MS),
      max_ack_pending: MAX_UNACKNOWLEDGED,
    });
    const consumer = await jetstream(this.connected()).consumers.get(name, durable);
    return consumer.consume({ expires: PULL_MS, abort_on_missing_resource: true });
  }
}

/**
 * A durable consumer's name has no dots, wildcards, slashes or spaces; nor `%`, which servers have
 * taken for a format and torn the protocol by.
 */
function durableName(group: string): string {
  return group.replace(
    /[^A-Za-z0-9_-]/gu,
    (character) => `=${Buffer.from(character).toString('hex')}`,
  );
}
