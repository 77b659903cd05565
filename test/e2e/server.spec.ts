import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { Client } from 'pg';
import { startApp, type TestApp } from '../app.js';

let server: TestApp;
let authorized: Record<string, string>;

beforeAll(async () => {
  server = await startApp();
  authorized = { Authorization: `Bearer ${server.admin.token}` };
});

afterAll(() => server.close());

function post(path: string, body: unknown, headers: Record<string, string> = {}) {
  return fetch(`${server.url}${path}`, {
    method: 'POST',
    headers: { ...authorized, 'Content-Type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
}

describe('health', () => {
  it('is live, and ready with a reason for each thing that it needs', async () => {
    expect((await fetch(`${server.url}/health/live`)).status).toBe(200);
    const ready = await fetch(`${server.url}/health/ready`);
    expect(ready.status).toBe(200);
    const { status, checks } = (await ready.json()) as {
      status: string;
      checks: { name: string; status: string; reason: string }[];
    };
    expect(status).toBe('ok');
    expect(checks.map(({ name }) => name).sort()).toEqual([
      'database',
      'migrations',
      'server',
      'storage',
    ]);
    expect(checks.every(({ reason }) => reason.length > 0)).toBe(true);
  });

  it('is not ready, and says why, while a migration is missing', async () => {
    const database = new Client(server.databaseUrl);
    await database.connect();
    const { rows } = await database.query<{ id: number; timestamp: string; name: string }>(
      'DELETE FROM migrations WHERE id = (SELECT max(id) FROM migrations) RETURNING *',
    );
    const ready = await fetch(`${server.url}/health/ready`);
    expect(ready.status).toBe(503);
    expect(ready.headers.get('retry-after')).not.toBeNull();
    expect(await ready.text()).toContain(rows[0]?.name);
    await database.query('INSERT INTO migrations (id, timestamp, name) VALUES ($1, $2, $3)', [
      rows[0]?.id,
      rows[0]?.timestamp,
      rows[0]?.name,
    ]);
    await database.end();
    expect((await fetch(`${server.url}/health/ready`)).status).toBe(200);
  });
});

describe('metrics', () => {
  it('tell how requests, bytes, the pool and events are doing, to administrators alone', async () => {
    expect((await fetch(`${server.url}/metrics`)).status).toBe(401);
    const member = await server.user('scraper');
    const refused = await fetch(`${server.url}/metrics`, {
      headers: { Authorization: `Bearer ${member.token}` },
    });
    expect(refused.status).toBe(403);
    const page = await (await fetch(`${server.url}/metrics`, { headers: authorized })).text();
    for (const name of [
      'varve_http_request_duration_seconds_count',
      'varve_upload_bytes_total',
      'varve_download_bytes_total',
      'varve_dedup_hits_total',
      'varve_database_pool_connections',
      'varve_event_lag_seconds',
    ]) {
      expect(page).toContain(name);
    }
  });

  it('make no series for paths that do not exist', async () => {
    const guess = `/api/v1/${randomUUID()}`;
    await fetch(`${server.url}${guess}`);
    const page = await (await fetch(`${server.url}/metrics`, { headers: authorized })).text();
    expect(page).not.toContain(guess);
  });
});

describe('every answer', () => {
  it('carries the request id, and a problem names it', async () => {
    const mine = await fetch(`${server.url}/api/v1/nothing-here`, {
      headers: { ...authorized, 'X-Request-Id': 'order-42' },
    });
    expect(mine.status).toBe(404);
    expect(mine.headers.get('x-request-id')).toBe('order-42');
    expect(await mine.json()).toMatchObject({
      type: 'urn:varve:problem:no-such-operation',
      requestId: 'order-42',
    });
    const theirs = await fetch(`${server.url}/health/live`, {
      headers: { 'X-Request-Id': 'x'.repeat(200) },
    });
    expect(theirs.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('tells nothing about what it is made with', async () => {
    const answer = await fetch(`${server.url}/health/live`);
    expect(answer.headers.get('x-powered-by')).toBeNull();
  });
});

/** What open operations answer to a request with nothing in it. */
const OPEN: Record<string, number> = {
  getLiveness: 200,
  getReadiness: 200,
  signIn: 400,
  refreshSession: 400,
};

describe('the description of the API', () => {
  it('is open, as a document and as a page', async () => {
    const document = (await (await fetch(`${server.url}/api/openapi.json`)).json()) as {
      openapi: string;
    };
    expect(document.openapi).toMatch(/^3\.1\./);
    const page = await fetch(`${server.url}/api/docs`);
    expect(page.status).toBe(200);
    expect(await page.text()).toContain('swagger-ui');
  });

  it('names every operation once, and every operation is closed but health and signing in', async () => {
    const { paths } = (await (await fetch(`${server.url}/api/openapi.json`)).json()) as {
      paths: Record<string, Record<string, { operationId: string }>>;
    };
    const operations = Object.entries(paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, { operationId }]) => ({ path, method, operationId })),
    );
    const ids = operations.map(({ operationId }) => operationId);
    expect(new Set(ids).size).toBe(ids.length);
    for (const { path, method, operationId } of operations) {
      const answer = await fetch(`${server.url}${path.replace(/\{\w+\}/g, '1')}`, {
        method: method.toUpperCase(),
      });
      await answer.body?.cancel();
      expect({ operationId, status: answer.status }).toEqual({
        operationId,
        status: OPEN[operationId] ?? 401,
      });
    }
  });
});

describe('an Idempotency-Key', () => {
  const list = async () =>
    (await server.admin.api.GET('/api/v1/datasets', {})).data?.items.map(({ name }) => name) ?? [];

  it('gives the first answer again, and does the work once', async () => {
    const key = randomUUID();
    const first = await post('/api/v1/datasets', { name: 'once' }, { 'Idempotency-Key': key });
    const again = await post('/api/v1/datasets', { name: 'once' }, { 'Idempotency-Key': key });
    expect([first.status, again.status]).toEqual([201, 201]);
    expect(await again.json()).toEqual(await first.json());
    expect(again.headers.get('location')).toBe(first.headers.get('location'));
    expect((await list()).filter((name) => name === 'once')).toHaveLength(1);
  });

  it('gives all of ten requests at once the same answer', async () => {
    const key = randomUUID();
    const answers = await Promise.all(
      Array.from({ length: 10 }, () =>
        post('/api/v1/datasets', { name: 'ten at once' }, { 'Idempotency-Key': key }),
      ),
    );
    const bodies = await Promise.all(answers.map((answer) => answer.text()));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([201]));
    expect(new Set(bodies).size).toBe(1);
  });

  it('is refused with another request', async () => {
    const key = randomUUID();
    await post('/api/v1/datasets', { name: 'mine' }, { 'Idempotency-Key': key });
    const other = await post('/api/v1/datasets', { name: 'other' }, { 'Idempotency-Key': key });
    expect(other.status).toBe(422);
    expect(await list()).not.toContain('other');
  });

  it('is forgotten when the request failed, so that it can be mended', async () => {
    const key = randomUUID();
    const bad = await post('/api/v1/datasets', { name: '' }, { 'Idempotency-Key': key });
    expect(bad.status).toBe(400);
    const good = await post('/api/v1/datasets', { name: 'mended' }, { 'Idempotency-Key': key });
    expect(good.status).toBe(201);
  });

  it.each([
    ['/api/v1/api-keys', { name: 'kept' }],
    ['/api/v1/api-keys/1/rotate', {}],
    ['/api/v1/webhooks', { url: 'https://example.com/', types: ['**'] }],
    ['/api/v1/webhooks/1/secret', {}],
  ])('is refused by POST %s, whose answer must not be stored', async (path, body) => {
    const key = randomUUID();
    const answer = await post(path, body, { 'Idempotency-Key': key });
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({ errors: [{ at: 'Idempotency-Key' }] });
  });

  it('belongs to its user', async () => {
    const key = randomUUID();
    const other = await server.user('other');
    const mine = await post('/api/v1/datasets', { name: 'shared key' }, { 'Idempotency-Key': key });
    const theirs = await post(
      '/api/v1/datasets',
      { name: 'shared key' },
      { 'Idempotency-Key': key, Authorization: `Bearer ${other.token}` },
    );
    const [a, b] = [(await mine.json()) as { id: number }, (await theirs.json()) as { id: number }];
    expect(a.id).not.toBe(b.id);
  });

  it('covers uploads by what was uploaded', async () => {
    const key = randomUUID();
    const send = (body: string) =>
      fetch(`${server.url}/api/v1/files?name=a.txt`, {
        method: 'POST',
        headers: { ...authorized, 'Content-Type': 'text/plain', 'Idempotency-Key': key },
        body,
      });
    const first = await send('the same bytes');
    const again = await send('the same bytes');
    const other = await send('other bytes');
    expect([first.status, again.status, other.status]).toEqual([201, 201, 422]);
    expect(await again.json()).toEqual(await first.json());
  });

  it.each(['', 'x'.repeat(256)])('of %p is refused', async (key) => {
    const answer = await post('/api/v1/datasets', { name: 'n' }, { 'Idempotency-Key': key });
    expect(answer.status).toBe(400);
  });
});
