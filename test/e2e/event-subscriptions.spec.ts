import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Client } from 'pg';
import { EVENT_BUS, type EventBus } from '../../src/core/contracts/event-bus.js';
import { EventRetention } from '../../src/events/retention.js';
import { startApp, type ApiClient, type TestApp } from '../app.js';
import { eventually } from '../builders/eventually.js';

const NAME = 'test.follower';

let server: TestApp;
let api: ApiClient;
let database: Client;
let broken = false;
const told: string[] = [];

beforeAll(async () => {
  server = await startApp({ EVENT_RETENTION: '1h' });
  api = server.admin.api;
  database = new Client(server.databaseUrl);
  await database.connect();
  server.app.get<EventBus>(EVENT_BUS, { strict: false }).subscribe(
    'dataset.created',
    ({ data }) => {
      const { name } = data as { name: string };
      if (broken) throw new Error(`cannot take ${name}`);
      told.push(name);
    },
    { name: NAME, durable: true, backoffMs: 1 },
  );
});

afterAll(async () => {
  await database.end();
  await server.close();
});

const dataset = async (name: string) => {
  const { data } = await api.POST('/api/v1/datasets', { body: { name } });
  return data!;
};
const own = { params: { path: { subscription: NAME } } };
const subscription = async () =>
  (await api.GET('/api/v1/events/subscriptions/{subscription}', own)).data!;
const deadLetters = async () =>
  (
    await api.GET('/api/v1/events/dead-letters', {
      params: { query: { subscription: NAME } },
    })
  ).data!.items;

describe('durable subscriptions over the API', () => {
  it('tell how far they have come, and who runs them', async () => {
    await dataset('first');
    await eventually(() => expect(told).toEqual(['first']));
    const { data } = await api.GET('/api/v1/events/subscriptions', {});
    expect(data!.items.map(({ name }) => name)).toContain(NAME);
    await eventually(async () =>
      expect(await subscription()).toMatchObject({
        name: NAME,
        pattern: 'dataset.created',
        holder: expect.any(String),
        lagSeconds: 0,
        pending: 0,
        dead: 0,
      }),
    );
    const page = await api.GET('/api/v1/events/subscriptions', { params: { query: { limit: 1 } } });
    const next = await api.GET('/api/v1/events/subscriptions', {
      params: { query: { limit: 1, cursor: page.data!.nextCursor! } },
    });
    expect(next.data!.items[0]!.name > page.data!.items[0]!.name).toBe(true);
  });

  it('give up what fails: dead letters are listed, inspected, retried and dropped', async () => {
    broken = true;
    await dataset('second');
    await dataset('third');
    await eventually(async () => expect(await deadLetters()).toHaveLength(2));
    const [letter, other] = await deadLetters();
    expect(letter).toMatchObject({
      subscription: NAME,
      attempts: 3,
      lastError: 'Error: cannot take second',
      event: { specversion: '1.0', type: 'dataset.created', data: { name: 'second' } },
    });
    const at = (deadLetter: string) => ({ params: { path: { deadLetter } } });
    const path = '/api/v1/events/dead-letters/{deadLetter}';
    expect((await api.GET(path, at(letter!.id))).data).toEqual(letter);
    const first = await api.GET('/api/v1/events/dead-letters', { params: { query: { limit: 1 } } });
    const second = await api.GET('/api/v1/events/dead-letters', {
      params: { query: { limit: 1, cursor: first.data!.nextCursor! } },
    });
    expect(second.data!.items).toEqual([other]);

    broken = false;
    expect((await api.POST(`${path}/retry`, at(letter!.id))).response.status).toBe(202);
    await eventually(() => expect(told).toEqual(['first', 'second']));
    expect((await api.DELETE(path, at(other!.id))).response.status).toBe(204);
    expect(await deadLetters()).toEqual([]);
    for (const gone of [
      await api.GET(path, at(other!.id)),
      await api.POST(`${path}/retry`, at(other!.id)),
      await api.DELETE(path, at(other!.id)),
    ]) {
      expect(gone.response.status).toBe(404);
    }
    expect((await api.GET(path, at('0'))).response.status).toBe(400);
  });

  it('are rewound to a cursor or a time, and handle again what comes after', async () => {
    const rewind = (body: { time?: string; cursor?: string }, name = NAME) =>
      api.POST('/api/v1/events/subscriptions/{subscription}/rewind', {
        params: { path: { subscription: name } },
        body,
      });
    told.length = 0;
    expect((await rewind({ cursor: '0-0' })).response.status).toBe(200);
    await eventually(() => expect(told).toEqual(['first', 'second', 'third']));
    const { createdAt } = await dataset('fourth');
    await eventually(() => expect(told).toHaveLength(4));
    told.length = 0;
    expect((await rewind({ time: createdAt })).response.status).toBe(200);
    await eventually(() => expect(told).toEqual(['fourth']));
    expect((await rewind({ time: '2999-01-01T00:00:00Z' })).response.status).toBe(200);
    await dataset('fifth');
    await eventually(() => expect(told.at(-1)).toBe('fifth'));

    const { data: audit } = await api.GET('/api/v1/audit', {
      params: { query: { action: 'subscription.rewind' } },
    });
    expect(audit!.items).toHaveLength(3);
    expect(audit!.items.at(-1)).toMatchObject({
      actorId: server.admin.id,
      resourceType: 'event_subscription',
      resourceId: NAME,
      after: { cursor: '0-0' },
    });

    expect((await rewind({})).response.status).toBe(400);
    expect((await rewind({ cursor: '0-0', time: createdAt })).response.status).toBe(400);
    expect((await rewind({ cursor: '18446744073709551615-1' })).response.status).toBe(400);
    expect((await rewind({ cursor: '99999999999999999999-1' })).response.status).toBe(400);
    expect((await rewind({ time: 'yesterday' })).response.status).toBe(400);
    expect((await rewind({ cursor: '0-0' }, 'nobody')).response.status).toBe(404);
  });

  it('are forgotten only once nobody runs them', async () => {
    const path = '/api/v1/events/subscriptions/{subscription}';
    const running = await api.DELETE(path, own);
    expect(running.error).toMatchObject({ type: 'urn:varve:problem:subscription-in-use' });
    await database.query(`INSERT INTO event_subscriptions (name, pattern) VALUES ('old', '**')`);
    const old = { params: { path: { subscription: 'old' } } };
    expect((await api.DELETE(path, old)).response.status).toBe(204);
    expect((await api.DELETE(path, old)).response.status).toBe(404);
    expect((await api.GET(path, old)).response.status).toBe(404);
  });

  it('are an administrator’s business', async () => {
    const { api: stranger } = await server.user('stranger');
    expect((await stranger.GET('/api/v1/events/subscriptions', {})).response.status).toBe(403);
    expect((await stranger.GET('/api/v1/events/dead-letters', {})).response.status).toBe(403);
  });
});

describe('retention', () => {
  const forget = () =>
    server.app.get(EventRetention, { strict: false }).forgetOld(new AbortController().signal);

  it('forgets what is old, except what a living subscription has not passed', async () => {
    await eventually(async () => expect((await subscription()).lagSeconds).toBe(0));
    const { rows } = await database.query<{ n: number }>('SELECT count(*)::int AS n FROM events');
    expect((await forget()).events).toBe(0);
    await database.query(`UPDATE events SET time = now() - interval '2 hours'`);
    await database.query(
      `INSERT INTO event_subscriptions (name, pattern, transaction_id, position)
       SELECT 'behind', '**', transaction_id, position FROM events ORDER BY 1, 2, 3, 4 LIMIT 1`,
    );
    expect((await forget()).events).toBe(1);
    await database.query(
      `UPDATE event_subscriptions SET seen_at = now() - interval '2 hours' WHERE name = 'behind'`,
    );
    expect((await forget()).events).toBe(rows[0]!.n - 1);
  });

  it('forgets old dead letters and notes of what was done', async () => {
    await database.query(
      `INSERT INTO event_deliveries (subscription, transaction_id, position, subject, event, state,
         attempts, died_at)
       SELECT $1, '1', n, '', '{}', 'dead', 3, now() - n * interval '45 minutes'
       FROM generate_series(1, 2) n`,
      [NAME],
    );
    await database.query(
      `INSERT INTO handled_events SELECT 'test', gen_random_uuid(), now() - n * interval '45 minutes'
       FROM generate_series(1, 2) n`,
    );
    expect(await forget()).toMatchObject({ deadLetters: 1, handledEvents: 1 });
  });
});
