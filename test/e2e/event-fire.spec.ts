import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { testDatabase, type TestDatabase } from '../database/test-database.js';

/** The whole fire is 20,000; the gate is content with fewer. */
const EVENTS = Number(process.env['TEST_FIRE_EVENTS'] ?? 600);
const PROCESSES = 2;
const SUBSCRIPTIONS = 5;
/** No measure of anything: until then a busy machine may take its time. */
const PATIENCE_MS = 20 * 60_000;

let database: TestDatabase;
let client: Client;
const workers = new Set<ChildProcess>();

beforeAll(async () => {
  database = await testDatabase();
  client = new Client({ connectionString: database.url });
  client.on('error', () => undefined);
  await client.connect();
  await client.query(`
    CREATE TABLE published (event_id uuid PRIMARY KEY, subject text, n integer);
    CREATE TABLE seen (seq bigserial PRIMARY KEY, subscription text, event_id uuid);
    CREATE INDEX ON seen (subscription, event_id)`);
});
afterAll(async () => {
  for (const worker of workers) worker.kill('SIGKILL');
  await client.end();
  await database.drop();
});

function start(): ChildProcess {
  const worker = spawn(
    process.execPath,
    [
      '--import',
      './test/typescript.mjs',
      'test/e2e/event-fire-worker.ts',
      database.url,
      String(EVENTS),
    ],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  );
  workers.add(worker);
  worker.once('exit', () => workers.delete(worker));
  return worker;
}

const number = async (sql: string) => {
  const { rows } = await client.query<{ n: number }>(sql);
  return rows[0]!.n;
};
const published = () => number('SELECT count(*)::int AS n FROM published');
const unseen = () =>
  number(`SELECT count(*)::int AS n FROM published p
    CROSS JOIN generate_series(0, ${SUBSCRIPTIONS - 1}) s
    WHERE NOT EXISTS (SELECT FROM seen WHERE event_id = p.event_id AND subscription = 'fire.' || s)`);

describe('durable subscriptions under fire', () => {
  it('see every committed event, none that was rolled back, in the order of each subject', async () => {
    let running = Array.from({ length: PROCESSES }, start);
    let deaths = 0;
    for (let round = 0; (await published()) < EVENTS; round++) {
      await sleep(1_500 + Math.random() * 3_000);
      const victim = running[round % PROCESSES]!;
      if (round % 3 === 2) {
        // As a restart of the database cuts them off.
        await client.query(
          `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
           WHERE datname = current_database() AND pid <> pg_backend_pid()`,
        );
        continue;
      }
      const end = once(victim, 'exit');
      victim.kill('SIGKILL');
      await end;
      deaths++;
      running = running.map((worker) => (worker === victim ? start() : worker));
    }
    expect(deaths).toBeGreaterThan(0);

    for (const giveUpAt = Date.now() + PATIENCE_MS; (await unseen()) > 0; await sleep(500)) {
      if (Date.now() > giveUpAt) break;
    }
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
  }, 1_800_000);
});
