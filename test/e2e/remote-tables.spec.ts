import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { createHash } from 'node:crypto';
import { chmod, readFile, readdir, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { startApp, type TestApp } from '../app.js';
import { eventually } from '../builders/eventually.js';
import { RemoteStore } from '../builders/remote-store.js';
import { publicData } from '../builders/tables.js';
import { VersionsApi, codeOf } from '../builders/versions-api.js';

const LIMIT_BYTES = 8 * 1024 * 1024;

let server: TestApp;
let api: VersionsApi;
let store: RemoteStore;

beforeAll(async () => {
  server = await startApp({ TABLE_CACHE_BYTES: String(LIMIT_BYTES), GC_SCHEDULE: '0 0 1 1 *' });
  api = new VersionsApi(server, server.admin);
  store = await RemoteStore.behind(server);
});
afterAll(async () => {
  await server.close();
  await store.close();
});
beforeEach(() => {
  Object.assign(store, { cutAfter: Infinity, isLying: false });
  store.fetched.length = 0;
});

const cacheDir = () => path.join(server.config.DATA_DIR, 'tables', 'cache');
const digestOf = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const wholes = (sha256: string) => store.fetched.filter((key) => key.includes(sha256)).length;

async function datasetWith(name: string, content: Uint8Array): Promise<number> {
  const dataset = await api.aDataset();
  const { body } = await api.call<{ id: number }>('POST', `/files?name=${name}`, {
    headers: { 'Content-Type': 'application/octet-stream' },
    body: content,
  });
  await api.commit(dataset, [{ op: 'put', path: name, fileId: body.id }]);
  return dataset;
}

const rowsOf = (dataset: number, name: string, limit = 2) =>
  api.call<{ items: Record<string, unknown>[] }>(
    'GET',
    `/datasets/${dataset}/refs/main/rows?path=${name}&limit=${limit}`,
  );

/** A table that takes so much room, and no other is like it. */
const table = (n: number, bytes: number) =>
  Buffer.from(`id,v\n${n},${n}\n`.padEnd(bytes, `${n},x\n`).replace(/[^\n]*$/, ''));

describe('a table in a remote store', () => {
  it('is fetched once, however many read it at once and in whatever way', async () => {
    const bytes = await readFile(publicData('flights-200k.arrow'));
    const dataset = await datasetWith('flights.arrow', bytes);
    const query = { json: { sql: 'SELECT count(*)::INTEGER AS n FROM "flights.arrow"' } };
    const [profile, queried, ...pages] = await Promise.all([
      api.call('GET', `/datasets/${dataset}/refs/main/profile?path=flights.arrow`),
      api.call('POST', `/datasets/${dataset}/refs/main/query`, query),
      ...Array.from({ length: 8 }, () => rowsOf(dataset, 'flights.arrow')),
    ]);
    expect(queried.body).toEqual([{ n: 200_000 }]);
    expect(profile.body).toMatchObject({ rowCount: 200_000 });
    expect(pages.map(({ status }) => status)).toEqual(Array(8).fill(200));
    expect(wholes(digestOf(bytes))).toBe(1);
  });

  it('pushes others out of the cache, which never takes more than it may', async () => {
    const tables = Array.from({ length: 8 }, (_, n) => table(n, 2 * 1024 * 1024));
    const datasets = await Promise.all(tables.map((bytes) => datasetWith('t.csv', bytes)));
    for (const turn of [0, 1]) {
      for (const [n, dataset] of datasets.entries()) {
        const { status, body } = await rowsOf(dataset, 't.csv');
        expect({ turn, status, first: body.items[0] }).toEqual({
          turn,
          status: 200,
          first: { id: n, v: String(n) },
        });
      }
    }
    // What is read at the moment stays beyond the limit: the captures after the commits may still run.
    const sizes = await Promise.all(
      (await readdir(cacheDir())).map(async (name) => {
        const stats = await stat(path.join(cacheDir(), name)).catch(() => null);
        return stats?.size ?? 0;
      }),
    );
    const inUse = server.config.TABLE_WORKERS * 3 * 2 * 1024 * 1024;
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThanOrEqual(LIMIT_BYTES + inUse);
    expect(store.fetched.length).toBeGreaterThan(tables.length);
  });

  it('is fetched anew where what is cached of it is damaged', async () => {
    const bytes = table(77, 100_000);
    const dataset = await datasetWith('t.csv', bytes);
    const cached = path.join(cacheDir(), `${digestOf(bytes)}.bytes`);
    // Until then somebody is reading it, who has found it sound.
    await eventually(async () => {
      const { body } = await api.call('GET', `/datasets/${dataset}/refs/main/schema?path=t.csv`);
      expect(body['rowCount']).toBeGreaterThan(0);
    });
    await chmod(cached, 0o600);
    await writeFile(cached, Buffer.from(bytes).fill('9', 5, 20));
    expect((await rowsOf(dataset, 't.csv')).body.items[0]).toEqual({ id: 77, v: '77' });
    expect(digestOf(await readFile(cached))).toBe(digestOf(bytes));
  });

  it('that comes as other bytes is damaged, and nothing of it is read', async () => {
    const bytes = table(88, 100_000);
    store.isLying = true;
    const dataset = await datasetWith('t.csv', bytes);
    expect(codeOf(await rowsOf(dataset, 't.csv'))).toBe('409 file-damaged');
    store.isLying = false;
    expect((await rowsOf(dataset, 't.csv')).status).toBe(200);
  });

  it('whose connection is cut is there another time', async () => {
    const bytes = table(99, 500_000);
    store.cutAfter = 100_000;
    const dataset = await datasetWith('t.csv', bytes);
    expect(codeOf(await rowsOf(dataset, 't.csv'))).toBe('503 unavailable');
    store.cutAfter = Infinity;
    expect((await rowsOf(dataset, 't.csv')).body.items[0]).toEqual({ id: 99, v: '99' });
    const left = (await readdir(cacheDir())).filter((name) => name.includes(digestOf(bytes)));
    expect(left).toEqual([`${digestOf(bytes)}.bytes`]);
  });
});
