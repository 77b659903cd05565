import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Client } from 'pg';
import { Webhook } from 'standardwebhooks';
import { startApp, type ApiClient, type TestApp, type TestUser } from '../app.js';
import { eventually } from '../builders/eventually.js';

interface Received {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly path: string;
}

let server: TestApp;
let ada: TestUser;
let database: Client;
let hook: string;
let answer: (res: ServerResponse) => void;
const received: Received[] = [];
const receiver = createServer((req, res) => {
  let body = '';
  req.on('data', (chunk: Buffer) => (body += chunk.toString()));
  req.on('end', () => {
    received.push({ headers: req.headers, body, path: req.url ?? '' });
    answer(res);
  });
});

const ok = (res: ServerResponse) => void res.end();
const status =
  (code: number, headers: Record<string, string> = {}) =>
  (res: ServerResponse) =>
    void res.writeHead(code, headers).end();

beforeAll(async () => {
  receiver.listen(0, '127.0.0.1');
  await once(receiver, 'listening');
  hook = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hook`;
  server = await startApp({
    WEBHOOK_ALLOWED_HOSTS: 'other.internal, 127.0.0.1',
    MAX_WEBHOOKS: '3',
  });
  ada = await server.user('ada');
  database = new Client(server.databaseUrl);
  await database.connect();
  answer = ok;
});
afterEach(async () => {
  answer = ok;
  received.length = 0;
  await database.query('DELETE FROM webhooks');
});
afterAll(async () => {
  await database.end();
  await server.close();
  receiver.closeAllConnections();
  receiver.close();
});

const create = async (user = ada, types = ['dataset.*'], more: { subject?: string } = {}) => {
  const { data, error } = await user.api.POST('/api/v1/webhooks', {
    body: { url: hook, types, ...more },
  });
  if (!data) throw new Error(JSON.stringify(error));
  return data;
};
const dataset = async (api: ApiClient, name: string) =>
  (await api.POST('/api/v1/datasets', { body: { name } })).data!;
const at = (webhookId: number) => ({ params: { path: { webhookId } } });
const deliveries = async (webhookId: number) =>
  (await ada.api.GET('/api/v1/webhooks/{webhookId}/deliveries', at(webhookId))).data!.items;
const settled = (webhookId: number, state: 'delivered' | 'failed' | 'pending') =>
  eventually(async () => {
    const [last] = await deliveries(webhookId);
    expect(last).toMatchObject({ state, attempts: expect.any(Number) });
    if (state === 'pending') expect(last!.lastError).not.toBeNull();
    return last!;
  });
/** What is due later is due now. */
const hurry = () => database.query(`UPDATE webhook_deliveries SET due_at = now()`);

describe('a webhook', () => {
  it('is one of so many that a user may have, however many are made at once', async () => {
    const answers = await Promise.all(
      Array.from({ length: 5 }, () =>
        ada.api.POST('/api/v1/webhooks', { body: { url: hook, types: ['dataset.*'] } }),
      ),
    );
    const statuses = answers.map(({ response }) => response.status).sort();
    expect(statuses).toEqual([201, 201, 201, 409, 409]);
    expect(answers.find(({ error }) => error)?.error).toMatchObject({
      type: 'urn:varve:problem:too-many-webhooks',
      detail: expect.stringContaining('Delete one'),
      limit: 3,
    });
    await create(server.admin);
  });

  it('is posted the events that it asks for, signed after Standard Webhooks', async () => {
    const { id, secret } = await create();
    const { id: datasetId } = await dataset(ada.api, 'signed');
    await eventually(() => expect(received).toHaveLength(1));
    const [{ headers, body }] = received as [Received];
    const event = new Webhook(secret).verify(body, headers as Record<string, string>);
    expect(event).toMatchObject({
      id: headers['webhook-id'],
      type: 'dataset.created',
      subject: `dataset/${datasetId}`,
      timestamp: expect.any(String),
      data: { datasetId, name: 'signed' },
    });
    expect(await settled(id, 'delivered')).toMatchObject({ attempts: 1, lastStatus: 200 });
  });

  it('is told only of what its owner may read', async () => {
    const { id } = await create();
    const other = await create(ada, ['**'], { subject: 'dataset/0' });
    await dataset(server.admin.api, 'not hers');
    await dataset(ada.api, 'hers');
    await eventually(() => expect(received).toHaveLength(1));
    expect(received[0]!.body).toContain('"hers"');
    expect(await deliveries(id)).toHaveLength(1);
    expect(await deliveries(other.id)).toEqual([]);
  });

  it('signs with two secrets while one is being rotated', async () => {
    const { id, secret } = await create();
    const { data } = await ada.api.POST('/api/v1/webhooks/{webhookId}/secret', at(id));
    await dataset(ada.api, 'rotated');
    await eventually(() => expect(received).toHaveLength(1));
    const [{ headers, body }] = received as [Received];
    for (const one of [secret, data!.secret]) {
      new Webhook(one).verify(body, headers as Record<string, string>);
    }
    expect((await ada.api.GET('/api/v1/webhooks/{webhookId}', at(id))).data).not.toHaveProperty(
      'secret',
    );
  });

  it('is tried again with the same id, follows no redirect, and can be sent again by hand', async () => {
    const { id } = await create();
    answer = status(302, { Location: `${hook}/elsewhere` });
    await dataset(ada.api, 'retried');
    expect(await settled(id, 'pending')).toMatchObject({
      attempts: 1,
      lastStatus: 302,
      lastError: expect.stringContaining('not followed'),
    });
    answer = ok;
    await hurry();
    const { id: delivery } = await settled(id, 'delivered');
    const again = await ada.api.POST(
      '/api/v1/webhooks/{webhookId}/deliveries/{delivery}/redeliver',
      { params: { path: { webhookId: id, delivery } } },
    );
    expect(again.response.status).toBe(202);
    await eventually(() => expect(received).toHaveLength(3));
    expect(new Set(received.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
    expect(received.map(({ path }) => path)).toEqual(['/hook', '/hook', '/hook']);
  });

  it('reads no more of an answer than it must', async () => {
    const { id } = await create();
    let sent = 0;
    answer = (res) => {
      const more = () => {
        while (!res.destroyed && res.write('x'.repeat(65_536))) sent++;
      };
      res.on('drain', more);
      more();
    };
    await dataset(ada.api, 'endless');
    await settled(id, 'delivered');
    expect(sent).toBeLessThan(1_000);
  });

  it('is disabled after a day without success, with a notice event', async () => {
    const { id } = await create();
    answer = status(500);
    await dataset(ada.api, 'failing');
    await settled(id, 'pending');
    await dataset(ada.api, 'waiting');
    await eventually(async () => expect(await deliveries(id)).toHaveLength(2));
    // As it is a day later, before the last attempt.
    await database.query(`UPDATE webhooks SET failing_since = now() - interval '1 day';`);
    await database.query(`UPDATE webhook_deliveries SET attempts = 7, due_at = now()`);
    await settled(id, 'failed');
    const { data } = await ada.api.GET('/api/v1/webhooks/{webhookId}', at(id));
    expect(data).toMatchObject({
      disabledReason: 'Answered 500',
      failingSince: expect.any(String),
    });
    await eventually(async () => {
      const log = await ada.api.GET('/api/v1/events', {
        params: { query: { type: 'webhook.*' as never } },
      });
      expect(log.data!.items).toMatchObject([
        { subject: `webhook/${id}`, data: { webhookId: id } },
      ]);
    });
    expect((await deliveries(id)).map(({ state }) => state)).toEqual(['failed', 'failed']);

    answer = ok;
    await ada.api.PATCH('/api/v1/webhooks/{webhookId}', { ...at(id), body: { enabled: true } });
    await dataset(ada.api, 'well again');
    await settled(id, 'delivered');
  });

  it('is disabled at once where the receiver says that it is gone', async () => {
    const { id } = await create();
    answer = status(410);
    await dataset(ada.api, 'gone');
    await eventually(async () => {
      const { data } = await ada.api.GET('/api/v1/webhooks/{webhookId}', at(id));
      expect(data!.disabledReason).toBe('Answered 410');
    });
  });

  it('sends nothing once its owner is shut out, or may not read what it is about', async () => {
    const eve = await server.user('eve');
    const { id } = await create(eve);
    answer = status(500);
    await dataset(eve.api, 'of eve');
    await eventually(() => expect(received).toHaveLength(1));
    await server.admin.api.PATCH('/api/v1/users/{userId}', {
      params: { path: { userId: eve.id } },
      body: { disabled: true },
    });
    await eventually(async () => {
      await hurry();
      const { data } = await server.admin.api.GET(
        '/api/v1/webhooks/{webhookId}/deliveries',
        at(id),
      );
      expect(data!.items[0]).toMatchObject({
        state: 'failed',
        lastError: expect.stringContaining('may not read'),
      });
    });
  });

  it('is refused at an address inside, or where it cannot be understood', async () => {
    const post = async (body: object) =>
      (await ada.api.POST('/api/v1/webhooks', { body: body as never })).response.status;
    for (const url of ['http://10.0.0.1/', 'http://[::1]/', 'http://0x7f.1:1/x', 'gopher://x/']) {
      const expected = url.includes('0x7f') ? 201 : 400; // 127.0.0.1, which is allowed here.
      expect([url, await post({ url, types: ['**'] })]).toEqual([url, expected]);
    }
    expect(await post({ url: hook, types: ['**.a'] })).toBe(400);
    expect(await post({ url: hook, types: [] })).toBe(400);
    expect(await post({ url: hook })).toBe(400);
  });

  it('is its owner’s and the administrators’ business', async () => {
    const { id } = await create();
    const { api: stranger } = await server.user('stranger');
    const path = '/api/v1/webhooks/{webhookId}';
    for (const { response } of [
      await stranger.GET(path, at(id)),
      await stranger.PATCH(path, { ...at(id), body: { enabled: false } }),
      await stranger.DELETE(path, at(id)),
      await stranger.POST(`${path}/secret`, at(id)),
      await stranger.GET(`${path}/deliveries`, at(id)),
    ]) {
      expect(response.status).toBe(404);
    }
    expect((await stranger.GET('/api/v1/webhooks', {})).data!.items).toEqual([]);
    expect((await ada.api.GET('/api/v1/webhooks', {})).data!.items).toHaveLength(1);
    expect((await server.admin.api.GET(path, at(id))).data).toMatchObject({ userId: ada.id });
    const changed = await ada.api.PATCH(path, {
      ...at(id),
      body: { url: `${hook}/2`, types: ['file.*'], description: 'new', enabled: false },
    });
    expect(changed.data).toMatchObject({
      types: ['file.*'],
      disabledReason: 'Stopped by its user',
    });
    expect((await ada.api.DELETE(path, at(id))).response.status).toBe(204);
    const missing = { params: { path: { webhookId: id, delivery: '1' } } };
    expect(
      (await ada.api.POST(`${path}/deliveries/{delivery}/redeliver`, missing)).response.status,
    ).toBe(404);
  });
});
