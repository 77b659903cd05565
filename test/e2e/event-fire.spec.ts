import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'pg';
import { brokerOf } from '../../src/events/brokers/broker-registry.js';
import { startEmbeddedPostgres } from '../../src/platform/database/embedded-postgres.js';
import { clusterDirOf, homeOf } from '../../src/platform/database/embedded/cluster.js';
import { readPidFile } from '../../src/platform/database/embedded/processes.js';
import { migrate } from '../../src/platform/database/migrate.js';
import { startOwnBroker, type OwnBroker } from '../brokers/own-broker.js';

/** The whole fire is 20,000; the gate is content with fewer. */
const EVENTS = Number(process.env['TEST_FIRE_EVENTS'] ?? 600);
/** `nats` or `redis`; whichever is installed unless told. */
const BROKER = process.env['TEST_FIRE_BROKER'];
const PROCESSES = 2;
const SUBSCRIPTIONS = 5;
/** No measure of anything: until then a busy machine may take its time. */
const PATIENCE_MS = 20 * 60_000;

let dataDir: string;
let postgres: { url: string; stop(): Promise<void> };
let pool: Pool;
let broker: OwnBroker | null;
const workers = new Map<number, ChildProcess>();
const restarts = { worker: 0, database: 0, broker: 0, 'broker without its store': 0 };
let isOver = false;

beforeAll(async () => {
  dataDir = await mkdtemp(path.join(tmpdir(), 'varve-fire-'));
  await chmod(dataDir, 0o755);
  const silent = () => undefined;
  const log = { info: silent, warn: silent, error: silent };
  postgres = await startEmbeddedPostgres({ dataDir, log });
  await migrate(postgres.url);
  broker = await startOwnBroker(BROKER);
  if (!broker) process.stderr.write('no nats-server or redis-server: the fire has no broker\n');
  pool = new Pool({ connectionString: postgres.url, max: 2 });
  pool.on('error', silent);
  await pool.query(`
    CREATE TABLE published (event_id uuid PRIMARY KEY, subject text, n integer);
    CREATE TABLE seen (seq bigserial PRIMARY KEY, subscription text, event_id uuid);
    CREATE INDEX ON seen (subscription, event_id)`);
});
afterAll(async () => {
  isOver = true;
  for (const worker of workers.values()) worker.kill('SIGKILL');
  await pool.end();
  await broker?.stop();
  await postgres.stop();
  await rm(dataDir, { recursive: true });
});

/** Keeps a process running: one that ends, because it was killed or found no database, is followed. */
function start(slot: number): void {
  const worker = spawn(
    process.execPath,
    [
      '--import',
      './test/typescript.mjs',
      'test/e2e/event-fire-worker.ts',
      postgres.url,
      String(EVENTS),
      broker?.url ?? 'memory:',
    ],
    { stdio: 'ignore' },
  );
  workers.set(slot, worker);
  worker.once('exit', () => {
    if (!isOver) start(slot);
  });
}

/** Asks until the database is there to answer. */
async function number(sql: string): Promise<number> {
  for (;;) {
    try {
      return (await pool.query<{ n: number }>(sql)).rows[0]!.n;
    } catch {
      await sleep(200);
    }
  }
}
const published = () => number('SELECT count(*)::int AS n FROM published');
const unseen = () =>
  number(`SELECT count(*)::int AS n FROM published p
    CROSS JOIN generate_series(0, ${SUBSCRIPTIONS - 1}) s
    WHERE NOT EXISTS (SELECT FROM seen WHERE event_id = p.event_id AND subscription = 'fire.' || s)`);

const burning: (() => Promise<void>)[] = [
  async () => {
    const victim = workers.get(restarts.worker++ % PROCESSES)!;
    const end = once(victim, 'exit');
    victim.kill('SIGKILL');
    await end;
  },
  async () => {
    // Its supervisor starts it again.
    const file = await readPidFile(clusterDirOf(homeOf(dataDir)));
    if (!file) return;
    process.kill(file.pid, 'SIGKILL');
    restarts.database++;
  },
  async () => {
    await broker?.restart('kept');
    restarts.broker++;
  },
  async () => {
    await broker?.restart('wiped');
    restarts['broker without its store']++;
  },
];

describe('durable subscriptions under fire', () => {
  it('see every committed event, none that was rolled back, in the order of each subject', async () => {
    const begunAt = performance.now();
    for (let slot = 0; slot < PROCESSES; slot++) start(slot);
    // Each of them once at the least, then whichever.
    for (let round = 0; round < burning.length || (await published()) < EVENTS; round++) {
      await sleep(1_500 + Math.random() * 3_000);
      const which = round < burning.length ? round : Math.floor(Math.random() * burning.length);
      await burning[which]!();
    }
    const publishedAt = performance.now();
    for (const giveUpAt = Date.now() + PATIENCE_MS; (await unseen()) > 0; await sleep(500)) {
      if (Date.now() > giveUpAt) break;
    }
    const seenAt = performance.now();
    expect(await unseen()).toBe(0);
    const invented = `SELECT count(*)::int AS n FROM seen s
      WHERE NOT EXISTS (SELECT FROM published p WHERE p.event_id = s.event_id)`;
    expect(await number(invented)).toBe(0);
    // At least once: what counts is when each was seen first.
    const outOfOrder = `SELECT count(*)::int AS n FROM (
        SELECT first.seq, lag(first.seq) OVER (PARTITION BY first.subscription, p.subject ORDER BY p.n)
          AS before
        FROM published p JOIN (
          SELECT subscription, event_id, min(seq) AS seq FROM seen GROUP BY 1, 2
        ) first ON first.event_id = p.event_id
      ) pairs WHERE before > seq`;
    expect(await number(outOfOrder)).toBe(0);
    expect(
      await number(`SELECT count(*)::int AS n FROM event_deliveries WHERE state = 'dead'`),
    ).toBe(0);
    await expectBrokerToHaveAll();
    const report = {
      events: await published(),
      handled: await number('SELECT count(*)::int AS n FROM seen'),
      restarts,
      broker: broker?.url.split(':')[0] ?? 'none',
      publishingSeconds: Math.round((publishedAt - begunAt) / 1000),
      untilAllSeenSeconds: Math.round((seenAt - publishedAt) / 1000),
    };
    process.stdout.write(`${JSON.stringify(report)}\n`);
  }, 3_600_000);
});

/** Its store ends where the log does: the relay is not behind either. */
async function expectBrokerToHaveAll(): Promise<void> {
  if (!broker) return;
  const outside = (await brokerOf(broker.url))!;
  try {
    for (;;) {
      const { rows } = await pool.query<{ cursor: string }>(
        `SELECT transaction_id || '-' || position AS cursor FROM events
         ORDER BY transaction_id DESC, position DESC LIMIT 1`,
      );
      const newest = await outside.newest().catch(() => null);
      if (newest === rows[0]!.cursor) return;
      await sleep(500);
    }
  } finally {
    await outside.close();
  }
}
