import { createClient } from '@redis/client';
import { Logger } from '@nestjs/common';
import type {
  BrokerConsumer,
  BrokerDelivery,
  BrokerMessage,
  EventBroker,
} from '../../core/contracts/event-broker.js';
import { InvalidConfig } from '../../platform/config/config.js';
import { Alarm } from '../alarm.js';
import { BrokerMoved, MAX_UNACKNOWLEDGED } from './broker-errors.js';
import { parseBrokerUrl, type BrokerUrl } from './broker-url.js';
import { Lasting } from './lasting.js';
import { within } from './within.js';

const PORT = 6379;
const TIMEOUT_MS = 5_000;
const RECONNECT_MS = 250;
const BLOCK_MS = 1_000;
const PAGE = 500;
/** The one member of a group: the lease in the database admits no other. */
const MEMBER = 'varve';
/** What an empty stream ends with. */
const NOTHING = '';

/** Appends, if the stream still ends with what was last seen there. */
const APPEND = `
  local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
  local id = last[1] and last[1][1] or ''
  if id ~= ARGV[1] then return false end
  for at = 3, #ARGV, 4 do
    id = redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], '*', 'cursor', ARGV[at],
      'type', ARGV[at + 1], 'subject', ARGV[at + 2], 'body', ARGV[at + 3])
  end
  return id`;

type RedisClient = ReturnType<typeof redisClient>;

/** An entry of a stream: its id, and its fields with their values; none where it was trimmed. */
type StreamEntry = [id: string, fields: string[] | null];

/** Redis Streams: one stream under the name as key, groups as consumer groups. */
export class RedisBroker implements EventBroker {
  readonly address: string;
  private readonly logger = new Logger(RedisBroker.name);
  private readonly options: BrokerUrl;
  private readonly client: RedisClient;
  private isAway = false;
  private lastId: string | null = null;

  constructor(url: string) {
    this.options = parseBrokerUrl(url, PORT);
    this.address = this.options.address;
    if (!/^\d{0,4}$/.test(this.options.path)) {
      throw new InvalidConfig(["EVENT_BUS_URL takes a database's number after redis://host:port/"]);
    }
    this.client = redisClient(this.options, () => RECONNECT_MS);
    this.client.on('ready', () => (this.isAway = false));
    this.client.on('error', (error: unknown) => {
      // Once, and not for each attempt to come back.
      if (!this.isAway) this.logger.warn({ err: error }, `${this.address} cannot be reached`);
      this.isAway = true;
      this.lastId = null;
    });
    this.client.connect().catch(() => undefined);
  }

  async check(): Promise<void> {
    await this.command('PING');
  }

  async newest(): Promise<string | null> {
    const reply = await this.command('XREVRANGE', this.options.name, '+', '-', 'COUNT', '1');
    const [last] = reply as StreamEntry[];
    this.lastId = last?.[0] ?? NOTHING;
    return fieldOf(last?.[1] ?? [], 'cursor');
  }

  async publish(messages: readonly BrokerMessage[]): Promise<void> {
    const { lastId, options } = this;
    this.lastId = null;
    if (lastId === null) throw new BrokerMoved(this.address);
    const fields = messages.flatMap(({ cursor, type, subject, body }) => [
      cursor,
      type,
      subject,
      body,
    ]);
    const keep = String(options.keep);
    const id = await this.command('EVAL', APPEND, '1', options.name, lastId, keep, ...fields);
    if (typeof id !== 'string') throw new BrokerMoved(this.address);
    this.lastId = id;
  }

  consume(group: string, receive: (deliveries: readonly BrokerDelivery[]) => void): BrokerConsumer {
    let isAttached = false;
    const session = new Lasting(
      async (signal) => {
        const client = redisClient(this.options, false);
        client.on('error', () => undefined);
        const end = () => client.destroy();
        try {
          await client.connect();
          signal.addEventListener('abort', end);
          await this.join(client, group);
          isAttached = true;
          await this.read(client, group, receive, signal);
        } finally {
          isAttached = false;
          signal.removeEventListener('abort', end);
          if (client.isOpen) client.destroy();
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
    if (this.client.isOpen) this.client.destroy();
  }

  private command(...words: string[]): Promise<unknown> {
    return within(TIMEOUT_MS, this.address, this.client.sendCommand(words));
  }

  private async join(client: RedisClient, group: string): Promise<void> {
    try {
      await client.sendCommand(['XGROUP', 'CREATE', this.options.name, group, '$', 'MKSTREAM']);
    } catch (error) {
      if (!(error instanceof Error && error.message.startsWith('BUSYGROUP'))) throw error;
    }
  }

  /** Reads first what a member before left unacknowledged, then what is new. */
  private async read(
    client: RedisClient,
    group: string,
    receive: (deliveries: readonly BrokerDelivery[]) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const { name } = this.options;
    const held = new Set<string>();
    const acknowledged = new Alarm();
    for (let from = '0'; !signal.aborted;) {
      const room = Math.min(MAX_UNACKNOWLEDGED - held.size, PAGE);
      if (room <= 0) {
        await acknowledged.sleep(BLOCK_MS);
        continue;
      }
      const words = ['XREADGROUP', 'GROUP', group, MEMBER, 'COUNT', String(room)];
      words.push('BLOCK', String(BLOCK_MS), 'STREAMS', name, from);
      const reading = client.sendCommand<[string, StreamEntry[]][] | null>(words);
      const entries = (await within(TIMEOUT_MS, this.address, reading))?.[0]?.[1] ?? [];
      if (from !== '>') from = entries.at(-1)?.[0] ?? '>';
      const deliveries = entries.map(([id, fields]): BrokerDelivery => {
        held.add(id);
        const ack = () => {
          if (!held.delete(id)) return;
          acknowledged.ring();
          this.command('XACK', name, group, id).catch(() => undefined);
        };
        return { body: fieldOf(fields ?? [], 'body') ?? '', ack };
      });
      if (deliveries.length > 0) receive(deliveries);
    }
  }
}

function redisClient(
  { host, port, username, password, path, url }: BrokerUrl,
  reconnectStrategy: false | (() => number),
) {
  const socket = { host, port, connectTimeout: TIMEOUT_MS, reconnectStrategy };
  return createClient({
    RESP: 2,
    disableOfflineQueue: true,
    socket: url.protocol === 'rediss:' ? { ...socket, tls: true } : socket,
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    database: Number(path),
  });
}

function fieldOf(fields: readonly string[], name: string): string | null {
  const at = fields.indexOf(name);
  return at < 0 ? null : (fields[at + 1] ?? null);
}
