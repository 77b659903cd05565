import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { startEventBus, type TestApp } from '../app.js';
import { eventually } from '../builders/eventually.js';

let bus: TestApp;

beforeAll(async () => {
  bus = await startEventBus();
});
afterAll(() => bus.close());

interface Answer {
  status: number;
  body: {
    id: string;
    type: string;
    cursor: string;
    detail: string;
    ids: string[];
    errors: { at: string }[];
    items: { id: string; cursor: string }[];
  };
}

async function post(path: string, body: unknown, token = bus.admin.token): Promise<Answer> {
  const answer = await fetch(`${bus.url}/api/v1/events${path}`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/cloudevents+json' },
    body: JSON.stringify(body),
  });
  return { status: answer.status, body: (await answer.json()) as Answer['body'] };
}
const publish = (event: object, token?: string) => post('', event, token);
const publishBatch = (...events: object[]) => post('/batch', { events });
const anEvent = (more: object = {}) => ({
  id: randomUUID(),
  source: '/shop',
  type: 'com.example.order-placed',
  subject: 'order/7',
  data: { total: 12.5 },
  ...more,
});
const log = async (type: string) =>
  (await bus.admin.api.GET('/api/v1/events', { params: { query: { type } } })).data!.items;

describe('publishing an event', () => {
  it('takes any dotted type and any JSON, and tells of it as it was given', async () => {
    const datas = [{ a: [1, null] }, [1, 2], 'text', 1.5, false, null];
    for (const [n, data] of datas.entries()) {
      const event = anEvent({ type: 'any.json', subject: `n/${n}`, data });
      expect(await publish(event)).toMatchObject({ status: 201, body: event });
    }
    await eventually(async () =>
      expect((await log('any.json')).map(({ data }) => data)).toEqual(datas),
    );
  });

  it('fills in what it is not told', async () => {
    const { body } = await publish({ type: 'plain', data: {} });
    const source = `/users/${bus.admin.id}`;
    expect(body).toMatchObject({
      specversion: '1.0',
      id: expect.any(String),
      source,
      subject: source,
      time: expect.any(String),
      correlationid: expect.any(String),
    });
    const time = '2020-05-06T07:08:09.123456Z';
    expect((await publish(anEvent({ time, correlationid: 'r1' }))).body).toMatchObject({
      time,
      correlationid: 'r1',
    });
  });

  it('answers the same to the same, and refuses another by its id', async () => {
    const event = anEvent({ type: 'once.only' });
    const first = await publish(event);
    expect(await publish(event)).toEqual(first);
    for (const other of [{ data: 1 }, { type: 'x' }, { subject: 'x' }, { source: '/x' }]) {
      const answer = await publish({ ...event, ...other });
      expect(answer).toMatchObject({ status: 409, body: { ids: [event.id] } });
    }
    const atOnce = await Promise.all(Array.from({ length: 8 }, () => publish(event)));
    for (const answer of atOnce) expect(answer).toEqual(first);
    await eventually(async () => expect(await log('once.only')).toHaveLength(1));
  });

  it('is taken once by the same id, however many send it first at once', async () => {
    const event = anEvent({ type: 'once.at-once' });
    const answers = await Promise.all(Array.from({ length: 8 }, () => publish(event)));
    expect(new Set(answers.map(({ status, body }) => `${status} ${body.cursor}`)).size).toBe(1);
    await eventually(async () => expect(await log('once.at-once')).toHaveLength(1));
  });

  it.each([
    ['a type that is none', { type: 'Order Placed' }, 'type'],
    ['a type that ends in a dot', { type: 'order.' }, 'type'],
    ['an id that is no UUID', { id: '7' }, 'id'],
    ['no data', { data: undefined }, 'data'],
    ['too much data', { data: 'x'.repeat(256 * 1024) }, 'data'],
    ['a time that is none', { time: 'yesterday' }, 'time'],
    ['a time far ahead', { time: '2999-01-01T00:00:00Z' }, 'time'],
    ['a year that none has', { time: '0000-01-01T00:00:00Z' }, 'time'],
    ['an empty subject', { subject: '' }, 'subject'],
    ['another version', { specversion: '0.3' }, 'specversion'],
    ['another content type', { datacontenttype: 'text/xml' }, 'datacontenttype'],
    ['data unlike the catalogue’s', { type: 'dataset.restored', data: { datasetId: '1' } }, 'data'],
    ['data that lacks a member', { type: 'evaluation.started', data: {} }, 'data'],
  ])('refuses %s', async (_, part, at) => {
    const { status, body } = await publish(anEvent(part));
    expect({ status, at: body.errors[0]?.at.split('.')[0] }).toEqual({ status: 400, at });
  });

  it('refuses what is no event at all', async () => {
    for (const body of [null, [], 'text', {}, { ...anEvent(), extra: 1 }]) {
      expect((await post('', body)).status).toBe(400);
    }
  });

  it('is for administrators, with a key that may write', async () => {
    const keyOf = async (scope: 'read' | 'write') => {
      const { data } = await bus.admin.api.POST('/api/v1/api-keys', { body: { name: 'k', scope } });
      return data!.key;
    };
    const member = await bus.user('member');
    expect((await publish(anEvent(), member.token)).status).toBe(403);
    expect((await publish(anEvent(), await keyOf('read'))).status).toBe(403);
    expect((await publish(anEvent(), await keyOf('write'))).status).toBe(201);
    expect((await publish(anEvent(), 'nobody')).status).toBe(401);
  });
});

describe('publishing a batch', () => {
  it('keeps its order, and repeats its answer', async () => {
    const events = Array.from({ length: 500 }, (_, n) => anEvent({ type: 'batch.kept', data: n }));
    const first = await publishBatch(...events);
    expect(first.status).toBe(201);
    expect(first.body.items.map(({ id }) => id)).toEqual(events.map(({ id }) => id));
    expect(await publishBatch(...events)).toEqual(first);
    await eventually(async () => {
      const { data } = await bus.admin.api.GET('/api/v1/events', {
        params: { query: { type: 'batch.kept', limit: 1_000 } },
      });
      expect(data!.items.map(({ data: n }) => n)).toEqual(events.map(({ data: n }) => n));
    });
  });

  it('publishes nothing where one is refused', async () => {
    const taken = anEvent({ type: 'batch.none' });
    await publish(taken);
    const fresh = anEvent({ type: 'batch.none' });
    const conflict = await publishBatch(fresh, { ...taken, data: 'other' });
    expect(conflict).toMatchObject({ status: 409, body: { ids: [taken.id] } });
    const wrong = await publishBatch(fresh, anEvent({ type: 'dataset.restored', data: {} }));
    expect(wrong).toMatchObject({
      status: 400,
      body: { errors: [{ at: 'events.1.data.datasetId' }] },
    });
    const self = await publishBatch(fresh, { ...fresh, data: 'other' });
    expect(self.status).toBe(409);
    expect(await publishBatch(fresh, fresh)).toMatchObject({ status: 201 });
    await eventually(async () =>
      expect((await log('batch.none')).map(({ id }) => id)).toEqual([taken.id, fresh.id]),
    );
  });

  it('is limited in its number', async () => {
    expect((await publishBatch()).status).toBe(400);
    expect((await publishBatch(...Array.from({ length: 501 }, () => anEvent()))).status).toBe(400);
  });
});

describe('the event bus as a service', () => {
  it('has the bus and those who may use it, and nothing of datasets or files', async () => {
    const answer = await fetch(`${bus.url}/api/openapi.json`);
    const { info, paths } = (await answer.json()) as { info: { title: string }; paths: object };
    expect(info.title).toBe('Varve event bus');
    const kinds = new Set(Object.keys(paths).map((path) => path.split('/')[3] ?? path));
    expect([...kinds].sort()).toEqual([
      '/health/live',
      '/health/ready',
      '/metrics',
      'api-keys',
      'audit',
      'auth',
      'events',
      'groups',
      'users',
      'webhooks',
    ]);
    expect((await fetch(`${bus.url}/health/ready`)).status).toBe(200);
    const datasets = await fetch(`${bus.url}/api/v1/datasets`, {
      headers: { Authorization: `Bearer ${bus.admin.token}` },
    });
    expect(datasets.status).toBe(404);
  });

  it('is closed to whoever does not say who it is', async () => {
    const open = new Set([
      '/health/live',
      '/health/ready',
      '/api/v1/auth/login',
      '/api/v1/auth/refresh',
    ]);
    const answer = await fetch(`${bus.url}/api/openapi.json`);
    const { paths } = (await answer.json()) as { paths: Record<string, object> };
    for (const [path, methods] of Object.entries(paths)) {
      if (open.has(path)) continue;
      for (const method of Object.keys(methods)) {
        const url = bus.url + path.replace(/\{\w+\}/g, '1');
        const { status } = await fetch(url, { method: method.toUpperCase() });
        expect({ path, method, status }).toEqual({ path, method, status: 401 });
      }
    }
  });
});
