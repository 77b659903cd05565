import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { createConnection } from 'node:net';
import { WebSocket } from 'ws';
import { EVENT_BUS, type EventBus, type NewEvent } from '../../src/core/contracts/event-bus.js';
import { UNIT_OF_WORK, type UnitOfWork } from '../../src/core/contracts/unit-of-work.js';
import { LiveStreams } from '../../src/events/live/live-streams.js';
import { Draining } from '../../src/platform/health/draining.js';
import { startApp, type ApiClient, type TestApp, type TestUser } from '../app.js';
import { eventually } from '../builders/eventually.js';

let server: TestApp;
let ada: TestUser;

beforeAll(async () => {
  server = await startApp({ EVENT_STREAM_HEARTBEAT: '200ms', EVENT_STREAM_LIMIT: '12' });
  ada = await server.user('ada');
});
afterAll(() => server.close());

interface Told {
  id: string;
  type: string;
  subject: string;
  cursor: string;
  correlationid: string | null;
  data: { name?: string };
}

const publish = (...events: NewEvent[]) =>
  server.app
    .get<UnitOfWork>(UNIT_OF_WORK, { strict: false })
    .run((tx) => server.app.get<EventBus>(EVENT_BUS, { strict: false }).publishAll(tx, events));
const dataset = async (api: ApiClient, name: string) =>
  (await api.POST('/api/v1/datasets', { body: { name } })).data!;
const list = async (api: ApiClient, query: Record<string, string | number> = {}) => {
  const { data } = await api.GET('/api/v1/events', { params: { query } });
  return data! as unknown as { items: Told[]; nextCursor: string | null };
};
const names = (items: readonly Told[]) => items.map(({ data }) => data.name);
const streams = () => server.app.get(LiveStreams, { strict: false });
const open = () => (streams() as unknown as { streams: Set<unknown> }).streams.size;

/** A reader of Server-Sent Events, as far as they are used here. */
async function follow(user: TestUser, query = '', headers: Record<string, string> = {}) {
  const leaving = new AbortController();
  const answer = await fetch(`${server.url}/api/v1/events/stream${query}`, {
    headers: { Authorization: `Bearer ${user.token}`, ...headers },
    signal: leaving.signal,
  });
  const told: Told[] = [];
  const reader = { told, lastId: '', end: '', answer, leave: () => leaving.abort() };
  const read = async () => {
    let text = '';
    for await (const chunk of answer.body!.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      for (let at = text.indexOf('\n\n'); at >= 0; at = text.indexOf('\n\n')) {
        const message = text.slice(0, at);
        text = text.slice(at + 2);
        const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(message)?.[1];
        const data = field('data');
        reader.lastId = field('id') ?? reader.lastId;
        if (data && field('event') === 'end') reader.end = data;
        else if (data) told.push(JSON.parse(data) as Told);
      }
    }
  };
  if (answer.ok) void read().catch(() => undefined);
  return reader;
}

/** A WebSocket and what it was told. */
async function connect(token: string, protocols: string[] = []) {
  const socket = new WebSocket(
    `${server.url.replace('http', 'ws')}/api/v1/events/stream`,
    protocols,
    {
      headers: protocols.length > 0 ? {} : { Authorization: `Bearer ${token}` },
    },
  );
  const heard: Record<string, unknown>[] = [];
  socket.on('message', (bytes: Buffer) =>
    heard.push(JSON.parse(bytes.toString()) as Record<string, unknown>),
  );
  const closed = new Promise<string>((resolve) =>
    socket.on('close', (code, reason) => resolve(`${code} ${reason.toString()}`)),
  );
  await once(socket, 'open');
  return {
    socket,
    closed,
    say: (message: object) => socket.send(JSON.stringify(message)),
    of: (kind: string) => heard.filter((message) => message['kind'] === kind),
    events: (id: string) =>
      heard
        .filter((message) => message['kind'] === 'event' && message['id'] === id)
        .map(({ event }) => event as Told),
  };
}

describe('the log of events', () => {
  it('is read in pages from a cursor, by type and subject, as CloudEvents', async () => {
    const first = await dataset(server.admin.api, 'log-1');
    await dataset(server.admin.api, 'log-2');
    const mine = async (query: Record<string, string | number>) =>
      (await list(server.admin.api, query)).items;
    await eventually(async () =>
      expect(names(await mine({ type: 'dataset.created' }))).toEqual(['log-1', 'log-2']),
    );
    const [event] = await mine({ subject: `dataset/${first.id}` });
    expect(event).toMatchObject({
      specversion: '1.0',
      source: '/varve',
      type: 'dataset.created',
      subject: `dataset/${first.id}`,
      datacontenttype: 'application/json',
      correlationid: expect.any(String),
      cursor: expect.stringMatching(/^\d+-\d+$/),
    });
    const page = await list(server.admin.api, { type: 'dataset.*', limit: 1 });
    expect(page.nextCursor).toBe(page.items[0]!.cursor);
    const rest = await list(server.admin.api, { type: 'dataset.*', after: page.nextCursor! });
    expect(names(rest.items)).toEqual(['log-2']);
    expect(rest.nextCursor).toBeNull();
    expect(await mine({ type: 'file.*' })).toEqual([]);
    expect(await mine({ type: 'file.*,dataset.created' })).toHaveLength(2);
    expect(await mine({ type: '**', subject: 'dataset/999' })).toEqual([]);
    expect(await mine({ type: 'dataset.*', subject: `dataset/${first.id}` })).toHaveLength(1);
  });

  it('tells everybody only about what they may read', async () => {
    const own = await dataset(ada.api, 'of ada');
    await publish(
      {
        type: 'file.deleted',
        subject: 'file/999',
        data: { fileId: 999, sha256: '', sizeBytes: 0 },
      },
      { type: 'dataset.restored', subject: 'elsewhere', data: { datasetId: own.id } },
    );
    const upload = await fetch(`${server.url}/api/v1/files?name=a.txt`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${ada.token}`, 'Content-Type': 'text/plain' },
      body: 'hers',
    });
    const { id } = (await upload.json()) as { id: number };
    await eventually(async () => {
      const subjects = (await list(ada.api)).items.map(({ subject }) => subject);
      expect(subjects).toEqual([`dataset/${own.id}`, `file/${id}`]);
    });
    expect((await list(ada.api, { limit: 1 })).nextCursor).not.toBeNull();
    expect((await list(server.admin.api)).items.length).toBeGreaterThan(4);
  });

  it.each(['type=Data!', 'type=**.a', 'after=1', 'after=99999999999999999999-1', 'limit=0', 'x=1'])(
    'refuses %s',
    async (query) => {
      const answer = await fetch(`${server.url}/api/v1/events?${query}`, {
        headers: { Authorization: `Bearer ${server.admin.token}` },
      });
      expect(answer.status).toBe(400);
    },
  );

  it('is described as AsyncAPI 3, for everybody', async () => {
    const answer = await fetch(`${server.url}/api/asyncapi.json`);
    expect(await answer.json()).toMatchObject({ asyncapi: '3.0.0' });
  });
});

describe('Server-Sent Events', () => {
  it('tell what comes, and go on from the last id without a gap or a double', async () => {
    const reader = await follow(ada, '?type=dataset.created');
    expect(reader.answer.headers.get('content-type')).toContain('text/event-stream');
    await dataset(server.admin.api, 'not for ada');
    await dataset(ada.api, 'sse-1');
    await eventually(() => expect(names(reader.told)).toEqual(['sse-1']));
    // A heartbeat tells how far the stream has come, past what was not for this reader.
    const seen = reader.told[0]!.cursor;
    await dataset(server.admin.api, 'nor this');
    await eventually(() => expect(reader.lastId).not.toBe(seen));
    reader.leave();
    await dataset(ada.api, 'sse-2');
    const again = await follow(ada, '?type=dataset.*', { 'Last-Event-ID': seen });
    await eventually(() => expect(names(again.told)).toEqual(['sse-2']));
    again.leave();
    const both = await follow(ada, `?after=${seen}&subject=elsewhere`);
    const all = await follow(ada, `?after=0-0&type=dataset.created`);
    await eventually(() => expect(names(all.told)).toEqual(['of ada', 'sse-1', 'sse-2']));
    expect(both.told).toEqual([]);
    both.leave();
    all.leave();
    await eventually(() => expect(open()).toBe(0));
  });

  it('end, with the reason, once the reader is shut out', async () => {
    const eve = await server.user('eve');
    const reader = await follow(eve);
    await server.admin.api.PATCH('/api/v1/users/{userId}', {
      params: { path: { userId: eve.id } },
      body: { disabled: true },
    });
    await eventually(() => expect(reader.end).toBe('access-withdrawn'));
    expect(open()).toBe(0);
  });

  it('cut a reader off that does not read', async () => {
    const { hostname, port } = new URL(server.url);
    const socket = createConnection(Number(port), hostname);
    socket.on('error', () => undefined);
    socket.pause();
    await once(socket, 'connect');
    socket.write(
      `GET /api/v1/events/stream?after=0-0 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${server.admin.token}\r\n\r\n`,
    );
    await eventually(() => expect(open()).toBe(1));
    const [stream] = (streams() as unknown as { streams: Set<{ limits: { patienceMs: number } }> })
      .streams;
    stream!.limits.patienceMs = 10;
    for (let n = 0; n < 40; n++) {
      await publish(
        ...Array.from({ length: 100 }, (): NewEvent => {
          const data = { datasetId: 1, name: 'x'.repeat(5_000), createdBy: 1 };
          return { type: 'dataset.created', subject: 'large', data };
        }),
      );
    }
    await eventually(() => expect(open()).toBe(0));
    socket.destroy();
  });

  it('are limited in their number', async () => {
    const readers = await Promise.all(Array.from({ length: 13 }, () => follow(ada)));
    expect(readers.map(({ answer }) => answer.status).sort()).toEqual([
      ...Array.from({ length: 12 }, () => 200),
      503,
    ]);
    for (const reader of readers) reader.leave();
    await eventually(() => expect(open()).toBe(0));
  });
});

describe('a WebSocket', () => {
  it('takes subscriptions with wildcards, from a cursor, and gives them up', async () => {
    const { items } = await list(ada.api, { type: 'dataset.created' });
    const reader = await connect(ada.token);
    reader.say({ action: 'subscribe', id: 'old', type: ['dataset.*'], after: items[0]!.cursor });
    reader.say({ action: 'subscribe', id: 'new', subject: 'nothing' });
    await eventually(() => expect(reader.of('subscribed')).toHaveLength(2));
    await eventually(() => expect(names(reader.events('old'))).toEqual(['sse-1', 'sse-2']));
    await dataset(ada.api, 'ws-1');
    await eventually(() => expect(names(reader.events('old')).at(-1)).toBe('ws-1'));
    await eventually(() => expect(reader.of('heartbeat').length).toBeGreaterThan(0));
    expect(reader.events('new')).toEqual([]);
    reader.say({ action: 'unsubscribe', id: 'old' });
    await eventually(() => expect(reader.of('unsubscribed')).toHaveLength(1));
    reader.socket.close();
    await reader.closed;
    await eventually(() => expect(open()).toBe(0));
  });

  it('takes the key as a protocol, where no header can be set', async () => {
    const reader = await connect('', ['varve.events.v1', `varve.key.${ada.token}`]);
    expect(reader.socket.protocol).toBe('varve.events.v1');
    reader.socket.terminate();
  });

  it('answers what it does not understand', async () => {
    const reader = await connect(ada.token);
    reader.say({ action: 'subscribe', id: 'a' });
    for (const wrong of [
      '{',
      '[]',
      '{"action":"dance"}',
      '{"action":"subscribe","id":"b","type":["**.a"]}',
      '{"action":"subscribe","id":"b","after":"1"}',
      '{"action":"subscribe","id":"a"}',
      '{"action":"unsubscribe","id":"c"}',
    ]) {
      reader.socket.send(wrong);
    }
    reader.socket.send(Buffer.from([1]));
    await eventually(() => expect(reader.of('error')).toHaveLength(8));
    for (let n = 0; n < 20; n++) reader.say({ action: 'subscribe', id: `many ${n}` });
    await eventually(() => expect(reader.of('error').length).toBeGreaterThan(8));
    reader.socket.send('x'.repeat(20_000));
    expect(await reader.closed).toMatch(/^1009/);
  });

  it.each([
    ['/api/v1/events/stream', 401],
    ['/elsewhere', 404],
  ])('is refused at %s without a key by %i', async (path, status) => {
    const socket = new WebSocket(`${server.url.replace('http', 'ws')}${path}`);
    const [, answer] = (await once(socket, 'unexpected-response')) as [
      unknown,
      { statusCode: number },
    ];
    expect(answer.statusCode).toBe(status);
  });
});

describe('live streams', () => {
  it('tell no more of a dataset once the grant on it is withdrawn, and go on with the rest', async () => {
    const bob = await server.user('bob');
    const { id } = await dataset(ada.api, 'lent');
    const own = await dataset(bob.api, 'of bob');
    const grant = { params: { path: { datasetId: id, userId: bob.id } } };
    await ada.api.PUT('/api/v1/datasets/{datasetId}/permissions/{userId}', {
      ...grant,
      body: { permission: 'read' },
    });
    const sse = await follow(bob, '?type=dataset.updated');
    const ws = await connect(bob.token);
    ws.say({ action: 'subscribe', id: 'a', type: ['dataset.updated'] });
    await eventually(() => expect(ws.of('subscribed')).toHaveLength(1));
    const change = (user: TestUser, datasetId: number, description: string) =>
      user.api.PATCH('/api/v1/datasets/{datasetId}', {
        params: { path: { datasetId } },
        body: { description },
      });
    const expectTold = (...ids: number[]) =>
      eventually(() => {
        for (const told of [sse.told, ws.events('a')]) {
          expect(told.map(({ subject }) => subject)).toEqual(ids.map((one) => `dataset/${one}`));
        }
      });
    await change(ada, id, 'first');
    await expectTold(id);
    await ada.api.DELETE('/api/v1/datasets/{datasetId}/permissions/{userId}', grant);
    await change(ada, id, 'not for bob');
    // What comes after it has arrived: so has whatever was told of it.
    await change(bob, own.id, 'his own');
    await expectTold(id, own.id);
    sse.leave();
    ws.socket.close();
    await eventually(() => expect(open()).toBe(0));
  });

  it('end, with the reason, when the server stops', async () => {
    const reader = await follow(ada);
    const other = await connect(ada.token);
    other.say({ action: 'subscribe', id: 'a' });
    await eventually(() => expect(open()).toBe(2));
    server.app.get(Draining, { strict: false }).begin();
    await eventually(() => expect(reader.end).toBe('server-stopping'));
    expect(await other.closed).toBe('1001 server-stopping');
  });
});
