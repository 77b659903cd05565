import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { Webhook } from 'standardwebhooks';
import type { DataSource } from 'typeorm';
import { OrphanSweep } from '../../src/storage/collection/orphan-sweep.js';
import { startApp, type TestApp } from '../app.js';
import { eventually } from '../builders/eventually.js';
import { testDatabase, type TestDatabase } from '../database/test-database.js';

let database: TestDatabase;
let dataSource: DataSource;
let folder: string;
let hook: string;
let servers: TestApp[] = [];
const received: { headers: IncomingHttpHeaders; body: string }[] = [];
const receiver = createServer((req, res) => {
  let body = '';
  req.on('data', (chunk: Buffer) => (body += chunk.toString()));
  req.on('end', () => {
    received.push({ headers: req.headers, body });
    res.end();
  });
});

beforeAll(async () => {
  receiver.listen(0, '127.0.0.1');
  await once(receiver, 'listening');
  hook = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`;
  database = await testDatabase();
  dataSource = await database.open();
  folder = await mkdtemp(path.join(tmpdir(), 'varve-sealed-'));
});
afterEach(async () => {
  await stop();
  await dataSource.query('TRUNCATE webhooks CASCADE');
  received.length = 0;
});
afterAll(async () => {
  await database.drop();
  receiver.close();
  await rm(folder, { recursive: true, force: true });
});

/** A replica with the storage of all, and a data directory of its own. */
const start = async (environment: Record<string, string> = {}) => {
  const server = await startApp(
    {
      STORAGE_URL: pathToFileURL(path.join(folder, 'storage')).href,
      WEBHOOK_ALLOWED_HOSTS: '127.0.0.1',
      ...environment,
    },
    { ...database, drop: async () => undefined },
  );
  servers.push(server);
  return server;
};
const stop = async () => {
  await Promise.all(servers.map((server) => server.close()));
  servers = [];
};
const create = async ({ admin }: TestApp) => {
  const { data } = await admin.api.POST('/api/v1/webhooks', {
    body: { url: hook, types: ['dataset.created'] },
  });
  return data!;
};
let made = 0;
const happen = ({ admin }: TestApp) =>
  admin.api.POST('/api/v1/datasets', { body: { name: `sealed-${made++}` } });
/** The message, once it has come, was signed with the secret. */
const expectSigned = async (secret: string) => {
  await eventually(() => expect(received).toHaveLength(1));
  const [{ headers, body }] = received as [(typeof received)[number]];
  new Webhook(secret).verify(body, headers as Record<string, string>);
  received.length = 0;
};
const kept = async () => {
  const rows = await dataSource.query<{ secret: Buffer }[]>(
    'SELECT secret FROM webhooks ORDER BY id',
  );
  return rows.map(({ secret }) => secret);
};
const placeOfKey = async () => {
  const [origin] = await dataSource.query<{ id: string }[]>('SELECT id FROM record_origin');
  return `records/${origin!.id}/secrets.key`;
};
const bytesOf = (secret: string) => Buffer.from(secret.replace('whsec_', ''), 'base64');
const aKey = () => randomBytes(32).toString('base64');

describe('the secrets of webhooks', () => {
  it('lie sealed in the database, with one key for all replicas that share a storage', async () => {
    const replicas = [await start(), await start()] as const;
    const hooks = await Promise.all([...replicas, ...replicas].map(create));
    const secrets = await kept();
    for (const { secret } of hooks) {
      expect(secrets.filter((one) => one.includes(bytesOf(secret)))).toEqual([]);
    }
    await happen(replicas[0]);
    await eventually(() => expect(received).toHaveLength(4));
    for (const { secret } of hooks) {
      const signed = received.filter(({ headers, body }) => {
        try {
          return new Webhook(secret).verify(body, headers as Record<string, string>);
        } catch {
          return false;
        }
      });
      expect(signed).toHaveLength(1);
    }
    const key = await readFile(path.join(folder, 'storage', await placeOfKey()), 'utf8');
    expect(Buffer.from(key, 'base64')).toHaveLength(32);
  });

  it('have a key that neither is taken for an orphan nor keeps others from being one', async () => {
    const server = await start();
    await create(server);
    const hash = 'ab'.repeat(32);
    const stray = path.join(folder, 'storage/artifacts/ab/ab');
    await mkdir(stray, { recursive: true });
    await writeFile(path.join(stray, hash), 'of nobody');
    const sweep = server.app.get(OrphanSweep, { strict: false });
    expect(await sweep.sweep('', new AbortController().signal)).toBe(1);
    const noted = await dataSource.query<object[]>('SELECT FROM storage_deletions');
    expect(noted).toHaveLength(1);
  });

  it('wait for their key where it is damaged, and nothing else does', async () => {
    const { secret } = await create(await start());
    await stop();
    const place = path.join(folder, 'storage', await placeOfKey());
    const key = await readFile(place);
    await writeFile(place, 'scribbled over');
    const server = await start();
    const { response } = await server.admin.api.POST('/api/v1/webhooks', {
      body: { url: hook, types: ['dataset.created'] },
    });
    expect(response.status).toBe(503);
    expect((await happen(server)).response.status).toBe(201);
    await eventually(async () =>
      expect(await dataSource.query('SELECT last_error FROM webhook_deliveries')).toEqual([
        { last_error: expect.stringContaining('is damaged') },
      ]),
    );
    await writeFile(place, key);
    await dataSource.query('UPDATE webhook_deliveries SET due_at = now()');
    await expectSigned(secret);
  });

  it('are sealed at the start where they lie there in clear', async () => {
    const { secret } = await create(await start());
    await stop();
    await dataSource.query('UPDATE webhooks SET secret = $1, previous_secret = $1', [
      bytesOf(secret),
    ]);
    const server = await start();
    expect((await kept())[0]!.includes(bytesOf(secret))).toBe(false);
    await happen(server);
    await expectSigned(secret);
  });

  it('are sealed anew with the first key of several, which opens them alone from then on', async () => {
    const [older, newer] = [aKey(), aKey()];
    const { secret } = await create(await start({ SECRETS_KEY: older }));
    await stop();
    await start({ SECRETS_KEY: `${newer},${older}` });
    await stop();
    const server = await start({ SECRETS_KEY: newer });
    await happen(server);
    await expectSigned(secret);
  });

  it('whose key is gone fail their messages, which say so, until there is a new secret', async () => {
    const { id, secret } = await create(await start({ SECRETS_KEY: aKey() }));
    await stop();
    const server = await start({ SECRETS_KEY: aKey() });
    const { api } = server.admin;
    const at = { params: { path: { webhookId: id } } };
    await happen(server);
    await eventually(async () => {
      const { data } = await api.GET('/api/v1/webhooks/{webhookId}/deliveries', at);
      expect(data!.items).toMatchObject([
        { state: 'pending', lastError: expect.stringContaining('another key') },
      ]);
    });
    expect(received).toEqual([]);
    const { data } = await api.POST('/api/v1/webhooks/{webhookId}/secret', at);
    await dataSource.query('UPDATE webhook_deliveries SET due_at = now()');
    await expectSigned(data!.secret);
    expect(data!.secret).not.toBe(secret);
  });
});
