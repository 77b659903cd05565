import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { apiClient, type ApiClient } from '../app.js';
import { eventually } from '../builders/eventually.js';
import { testDatabase, type TestDatabase } from '../database/test-database.js';
import { PROCESS_TOKEN, startServerProcess, type ServerProcess } from '../server-process.js';

const BUS_TOKEN = 'administrator-of-the-bus';

let folder: string;
let databases: { bus: TestDatabase; server: TestDatabase };
let port: number;
let bus: ServerProcess;
/** Two replicas, of which one forwards. */
let servers: ServerProcess[];
let here: ApiClient;
let there: ApiClient;

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return address.port;
}

const startBus = () =>
  startServerProcess(
    {
      DATA_DIR: path.join(folder, 'bus'),
      DATABASE_URL: databases.bus.url,
      PORT: String(port),
      ADMIN_TOKEN: BUS_TOKEN,
    },
    undefined,
    'event-bus.main.js',
  );
const startServer = () =>
  startServerProcess({
    DATA_DIR: path.join(folder, 'server'),
    DATABASE_URL: databases.server.url,
    EVENT_BUS_URL: `http://127.0.0.1:${port}`,
    EVENT_BUS_KEY: BUS_TOKEN,
  });

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'varve-remote-bus-'));
  databases = { bus: await testDatabase(), server: await testDatabase() };
  port = await freePort();
  bus = await startBus();
  servers = [await startServer(), await startServer()];
  here = apiClient(servers[0]!.url, PROCESS_TOKEN);
  there = apiClient(bus.url, BUS_TOKEN);
});
afterAll(async () => {
  await Promise.all([bus, ...servers].map((process) => process.end()));
  await Promise.all([databases.bus.drop(), databases.server.drop()]);
  await rm(folder, { recursive: true, force: true });
});

const make = async (name: string) => {
  const { response } = await here.POST('/api/v1/datasets', { body: { name } });
  expect(response.status).toBe(201);
};
const log = async (api: ApiClient) => {
  const query = { type: 'dataset.**', limit: 1_000 };
  const { data } = await api.GET('/api/v1/events', { params: { query } });
  return data!.items.map((event) => ({ ...event, cursor: null }));
};
/** Both logs tell the same, in the same order, each event once. */
const arrived = (count: number) =>
  eventually(async () => {
    const [own, remote] = await Promise.all([log(here), log(there)]);
    expect(own).toHaveLength(count);
    expect(remote).toEqual(own);
  });
const readiness = async () => {
  const answer = await fetch(`${servers[0]!.url}/health/ready`);
  const { checks } = (await answer.json()) as { checks: { name: string; status: string }[] };
  return { code: answer.status, bus: checks.find(({ name }) => name === 'event bus')?.status };
};

describe('a server with a remote event bus', () => {
  it('tells it of what has committed, as it tells at home', async () => {
    await make('first');
    await make('second');
    await arrived(2);
    expect(await readiness()).toEqual({ code: 200, bus: 'ok' });
  });

  it('loses nothing, doubles nothing and keeps nobody waiting while the bus is killed', async () => {
    await Promise.all([make('in flight 1'), make('in flight 2'), bus.end('SIGKILL')]);
    for (let n = 0; n < 20; n++) await make(`away ${n}`);
    const away = await readiness();
    expect(away.code).toBe(200);
    expect(away.bus).not.toBe('ok');
    bus = await startBus();
    await arrived(24);
    expect(await readiness()).toEqual({ code: 200, bus: 'ok' });
  });

  it('goes on from another replica where the one that forwards is killed', async () => {
    const path = '/api/v1/events/subscriptions/{subscription}';
    const subscription = `events.forward http://127.0.0.1:${port}`;
    const { data } = await here.GET(path, { params: { path: { subscription } } });
    const forwards = (server: ServerProcess) => data!.holder!.includes(`/${server.pid}/`);
    const [holder, other] = servers.toSorted((a, b) => Number(forwards(b)) - Number(forwards(a)));
    expect(servers.filter(forwards)).toHaveLength(1);
    here = apiClient(other!.url, PROCESS_TOKEN);
    await Promise.all([make('while it dies'), holder!.end('SIGKILL')]);
    await make('after its death');
    await arrived(26);
  });

  it('has its own handlers at work as ever', async () => {
    const { data } = await eventually(async () => {
      const found = await here.GET('/api/v1/events/subscriptions', {});
      expect(found.data!.items.every(({ lagSeconds }) => lagSeconds === 0)).toBe(true);
      return found;
    });
    expect(data!.items.map(({ name }) => name)).toContain('storage.release-dataset');
  });

  it('never says the key of the bus', () => {
    expect([bus, ...servers].map((process) => process.output()).join()).not.toContain(BUS_TOKEN);
  });
});
