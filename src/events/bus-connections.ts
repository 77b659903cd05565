import { Injectable, Logger } from '@nestjs/common';
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, Pool, type ClientConfig } from 'pg';
import { DataSource } from 'typeorm';

const CHANNEL = 'varve_events';
/** What every wake has missed is found after this. */
export const POLL_MS = 1_000;
/** The other replicas are told at once of all that commits within this. */
const ANNOUNCEMENT_MS = 20;
const CONNECT_TIMEOUT_MS = 5_000;
const READERS = 3;
const SESSION = [
  'synchronous_commit=off',
  'statement_timeout=60000',
  'timezone=UTC',
  // Each query here takes a few rows where an index has them. The log grows faster than what the
  // planner knows of it, and by that it would sort all that is left of it for a page.
  'enable_bitmapscan=off',
  'enable_seqscan=off',
];

/**
 * The bus's own connections: one that listens and announces, and a few that read the log and keep
 * positions. Theirs commit without waiting for the disk: what a crash of the database takes back is
 * that something was handled, and then it is handled again.
 */
@Injectable()
export class BusConnections {
  readonly pool: Pool;
  private readonly logger = new Logger(BusConnections.name);
  private readonly config: ClientConfig;
  /** Tells this process's own announcements from those of others. */
  private readonly self = randomUUID();
  private readonly listeners = new Set<() => void>();
  private readonly stopping = new AbortController();
  private listening: Client | null = null;
  private announcement: NodeJS.Timeout | null = null;
  private announcedAt = 0;
  private announced: Promise<unknown> | undefined;
  private loop: Promise<void> = Promise.resolve();
  private poll: NodeJS.Timeout | undefined;

  constructor(dataSource: DataSource) {
    const { url } = dataSource.options as { url: string };
    this.config = {
      connectionString: url,
      application_name: 'varve events',
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      keepAlive: true,
      options: SESSION.map((setting) => `-c ${setting}`).join(' '),
    };
    this.pool = new Pool({ ...this.config, max: READERS, idleTimeoutMillis: 30_000 });
    this.pool.on('error', (error) => this.complain(error));
  }

  start(): void {
    this.loop = this.listen();
    this.poll = setInterval(() => this.ring(), POLL_MS).unref();
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    clearInterval(this.poll);
    if (this.announcement) clearTimeout(this.announcement);
    await this.listening?.end().catch(() => undefined);
    await this.loop;
  }

  /** Closes the rest, once nobody reads or writes any more. */
  async close(): Promise<void> {
    await this.pool.end();
  }

  /** Calls `listener` whenever there may be something new, and each second. */
  onRing(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Wakes whoever waits in this process. */
  ring(): void {
    for (const listener of this.listeners) listener();
  }

  /** Wakes this process at once, and the others soon: something has been committed. */
  announce(): void {
    this.ring();
    const dueInMs = Math.max(0, this.announcedAt + ANNOUNCEMENT_MS - performance.now());
    this.announcement ??= setTimeout(() => void this.notify(), dueInMs).unref();
  }

  private async notify(): Promise<void> {
    // One at a time: a connection has no queue.
    await this.announced;
    this.announcement = null;
    this.announcedAt = performance.now();
    // Outside of the transactions: a NOTIFY inside makes all commits wait for each other. What
    // goes wrong here the others find by themselves within a second.
    const notified = this.listening?.query(`NOTIFY ${CHANNEL}, '${this.self}'`);
    this.announced = notified?.catch(() => undefined);
  }

  private async listen(): Promise<void> {
    const { signal } = this.stopping;
    while (!signal.aborted) {
      const client = new Client(this.config);
      const lost = new Promise<void>((resolve) => {
        client.on('error', (error) => {
          if (!signal.aborted) this.complain(error);
          resolve();
        });
        client.on('end', resolve);
      });
      client.on('notification', ({ payload }) => {
        if (payload !== this.self) this.ring();
      });
      try {
        await client.connect();
        await client.query(`LISTEN ${CHANNEL}`);
        this.listening = client;
        this.ring();
        if (!signal.aborted) await lost;
      } catch (error) {
        if (!signal.aborted) this.complain(error);
      }
      this.listening = null;
      await client.end().catch(() => undefined);
      await sleep(POLL_MS / 2, null, { signal, ref: false }).catch(() => undefined);
    }
  }

  private complain(error: unknown): void {
    this.logger.warn({ err: error }, 'The event bus has lost a connection');
  }
}
