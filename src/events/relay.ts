import { Inject, Injectable, Logger } from '@nestjs/common';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { DataSource } from 'typeorm';
import { CONFIG, type Config } from '../platform/config/config.js';
import { Alarm } from './alarm.js';
import { Dispatcher } from './dispatcher.js';
import {
  CLAIM_SECONDS,
  claim,
  markDispatched,
  releaseClaims,
  renewClaims,
  type ClaimedEvent,
} from './outbox.js';

const CHANNEL = 'varve_events';
/** What every wake has missed is found after this. */
const POLL_MS = 1_000;
const BATCH = 100;
const MAX_IN_FLIGHT = 1_000;
const RENEWAL_MS = (CLAIM_SECONDS * 1_000) / 3;
/** The other replicas are told at once of all that commits within this. */
const ANNOUNCEMENT_MS = 20;
const CONNECT_TIMEOUT_MS = 5_000;

/**
 * Takes committed events from the log to this process's handlers. It has one connection of its
 * own, on which it listens, claims and marks; no transaction is open while a handler runs.
 */
@Injectable()
export class Relay {
  private readonly logger = new Logger(Relay.name);
  private readonly alarm = new Alarm();
  /** Claimed, and not yet marked as told. */
  private readonly held = new Set<string>();
  private readonly running = new Set<Promise<void>>();
  private told: string[] = [];
  private client: Client | null = null;
  private renewedAt = 0;
  private announcedAt = 0;
  private announcement: NodeJS.Timeout | null = null;
  private announcementIsDue = false;
  private stopping = false;
  private loop: Promise<void> = Promise.resolve();

  constructor(
    private readonly dispatcher: Dispatcher,
    private readonly dataSource: DataSource,
    @Inject(CONFIG) private readonly config: Pick<Config, 'EVENT_HANDLER_TIMEOUT'>,
  ) {}

  start(): void {
    this.loop = this.run();
  }

  /** Lets running handlers end, within a limit, and gives back what they have not done. */
  async stop(): Promise<void> {
    this.stopping = true;
    this.alarm.ring();
    await this.loop;
    const waited = new AbortController();
    await Promise.race([
      Promise.all(this.running).finally(() => waited.abort()),
      sleep(this.config.EVENT_HANDLER_TIMEOUT, null, waited).catch(() => undefined),
    ]);
    if (this.announcement) clearTimeout(this.announcement);
    await this.onConnection(async (client) => {
      await this.mark(client);
      if (this.held.size > 0) await releaseClaims(client, [...this.held]);
    });
    await this.client?.end();
  }

  /** Tells this relay at once, and those of other replicas soon, that events have committed. */
  wake(): void {
    const dueInMs = Math.max(0, this.announcedAt + ANNOUNCEMENT_MS - performance.now());
    this.announcement ??= setTimeout(() => {
      this.announcementIsDue = true;
      this.alarm.ring();
    }, dueInMs).unref();
    this.alarm.ring();
  }

  private async run(): Promise<void> {
    while (!this.stopping) {
      let claimed = 0;
      await this.onConnection(async (client) => {
        await this.mark(client);
        await this.renew(client);
        await this.announce(client);
        const room = Math.min(BATCH, MAX_IN_FLIGHT - this.held.size);
        const events = room > 0 ? await claim(client, room) : [];
        for (const each of events) this.tell(each);
        claimed = events.length;
      });
      if (claimed < BATCH) await this.alarm.sleep(POLL_MS);
    }
  }

  private tell({ position, event }: ClaimedEvent): void {
    this.held.add(position);
    const telling = this.dispatcher.dispatch(event).then(() => {
      this.running.delete(telling);
      this.told.push(position);
      this.alarm.ring();
    });
    this.running.add(telling);
  }

  private async mark(client: Client): Promise<void> {
    const told = [...this.told];
    if (told.length === 0) return;
    await markDispatched(client, told);
    for (const position of told) this.held.delete(position);
    this.told = this.told.slice(told.length);
  }

  /** Keeps the other relays from what is still being handled here. */
  private async renew(client: Client): Promise<void> {
    const now = performance.now();
    if (this.held.size === 0 || now - this.renewedAt < RENEWAL_MS) return;
    await renewClaims(client, [...this.held]);
    this.renewedAt = now;
  }

  /** Outside of the transactions: a NOTIFY inside makes all commits wait for each other. */
  private async announce(client: Client): Promise<void> {
    if (!this.announcementIsDue) return;
    this.announcementIsDue = false;
    this.announcement = null;
    this.announcedAt = performance.now();
    await client.query(`NOTIFY ${CHANNEL}`);
  }

  /** Works on the connection, making one where there is none; what fails is tried again later. */
  private async onConnection(work: (client: Client) => Promise<void>): Promise<void> {
    const client = this.client ?? this.newClient();
    try {
      if (!this.client) await this.connect(client);
      await work(client);
    } catch (error) {
      this.lose(client, error);
    }
  }

  private newClient(): Client {
    const { url } = this.dataSource.options as { url: string };
    const client = new Client({
      connectionString: url,
      application_name: 'varve events',
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      keepAlive: true,
    });
    client.on('error', (error) => this.lose(client, error));
    client.on('notification', () => this.alarm.ring());
    return client;
  }

  private async connect(client: Client): Promise<void> {
    await client.connect();
    await client.query(`LISTEN ${CHANNEL}`);
    this.client = client;
  }

  private lose(client: Client, error: unknown): void {
    if (this.client === client) this.client = null;
    this.logger.warn({ err: error }, 'The event relay has no connection');
    client.end().catch(() => undefined);
  }
}
