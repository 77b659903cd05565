import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { DataSource } from 'typeorm';
import { gzipSync } from 'node:zlib';
import { startApp, type TestApp } from '../app.js';
import { capturedAll } from '../builders/captures.js';
import { eventually } from '../builders/eventually.js';
import { VersionsApi, codeOf } from '../builders/versions-api.js';

let server: TestApp;
let api: VersionsApi;
let database: DataSource;

beforeAll(async () => {
  server = await startApp({ GC_SCHEDULE: '0 0 1 1 *' });
  api = new VersionsApi(server, await server.user('ada'));
  database = await new DataSource({ type: 'postgres', url: server.databaseUrl }).initialize();
});
afterAll(async () => {
  await database.destroy();
  await server.close();
});

const sha256Of = (content: Uint8Array) => createHash('sha256').update(content).digest('hex');
const cacheOf = (app: TestApp) => path.join(app.config.DATA_DIR, 'tables', 'cache');
const cached = async (sha256: string) =>
  (await readdir(cacheOf(server))).filter((name) => name.includes(sha256));

async function put(dataset: number, content: Uint8Array): Promise<string> {
  const { body } = await api.call<{ id: number }>('POST', '/files?name=t.csv.gz', {
    headers: { 'Content-Type': 'application/octet-stream' },
    body: content,
  });
  await api.commit(dataset, [{ op: 'put', path: 't.csv.gz', fileId: body.id }]);
  return sha256Of(content);
}

const schemasOf = (dataset: number) =>
  database.query<object[]>(
    `SELECT s.schema_json FROM dataset_schema_versions s
     JOIN dataset_versions v ON v.id = s.dataset_version_id WHERE v.dataset_id = $1`,
    [dataset],
  );
const knownOf = (sha256: string) =>
  database.query<object[]>(
    `SELECT c.id FROM table_contents c JOIN files f ON f.id = c.file_id WHERE f.content_hash = $1`,
    [sha256],
  );

const purge = (dataset: number, sha256: string) =>
  api.call('POST', `/datasets/${dataset}/purge`, { json: { sha256, reason: 'a court said so' } });

/** Has a job done on the table, and tells which file it made. */
async function made(dataset: number, verb: string, order: object): Promise<number> {
  const job = await api.call('POST', `/datasets/${dataset}/${verb}`, {
    json: { ref: 'main', ...order },
  });
  return (await api.finishedJob(job))['fileId'] as number;
}

const table = (secret: string) => gzipSync(`id,name\n1,${secret}\n2,${secret} too\n`);

describe('what was found out about a content that is purged', () => {
  it('goes with it: schemas, what is cached, and files that jobs made of it', async () => {
    const dataset = await api.aDataset();
    const open = await put(dataset, table('open'));
    const secret = await put(dataset, table('a secret'));
    await capturedAll(database);
    const results = [
      await made(dataset, 'analyses', { kind: 'profile', path: 't.csv.gz' }),
      await made(dataset, 'analyses', { kind: 'select', sql: 'SELECT name FROM "t.csv.gz"' }),
      await made(dataset, 'analyses', { kind: 'diff', base: '1', path: 't.csv.gz', key: ['id'] }),
      await made(dataset, 'samples', {
        paths: ['t.csv.gz'],
        method: { kind: 'first', rows: 1 },
      }),
    ];
    const other = await made(dataset, 'analyses', {
      ref: '1',
      kind: 'select',
      sql: 'SELECT id FROM "t.csv.gz"',
    });
    const compare = `/datasets/${dataset}/compare/rows?base=1&head=2&path=t.csv.gz&key=id`;
    expect((await api.call(`GET`, compare)).body).toMatchObject({ counts: { changed: 2 } });
    expect((await cached(secret)).length).toBeGreaterThan(1);
    expect(await schemasOf(dataset)).toHaveLength(2);
    expect(await knownOf(secret)).toHaveLength(1);

    expect((await purge(dataset, secret)).status).toBe(200);
    await eventually(async () => {
      expect(await cached(secret)).toEqual([]);
      expect(await schemasOf(dataset)).toHaveLength(1);
      expect(await knownOf(secret)).toEqual([]);
      for (const fileId of results) {
        const gone = await api.call('GET', `/files/${fileId}/content`);
        expect(codeOf(gone)).toBe('404 not-found');
      }
    });
    // Nothing else went.
    expect((await cached(open)).length).toBeGreaterThan(0);
    expect(await knownOf(open)).toHaveLength(1);
    expect((await api.call('GET', `/files/${other}/content`)).status).toBe(200);
    for (const verb of ['schema', 'rows', 'profile']) {
      const gone = await api.call('GET', `/datasets/${dataset}/refs/2/${verb}?path=t.csv.gz`);
      expect(codeOf(gone)).toBe('410 content-purged');
    }
    expect(codeOf(await api.call('GET', compare))).toBe('410 content-purged');
    const query = await api.call('POST', `/datasets/${dataset}/refs/2/query`, {
      json: { sql: 'SELECT * FROM "t.csv.gz"' },
    });
    expect(codeOf(query)).toBe('410 content-purged');
  });

  it('stays where another dataset has the content as well', async () => {
    const [here, there] = [await api.aDataset(), await api.aDataset()];
    const shared = await put(here, table('shared'));
    await put(there, table('shared'));
    await capturedAll(database);
    await purge(here, shared);
    await eventually(async () => expect(await schemasOf(here)).toEqual([]));
    expect(await schemasOf(there)).toHaveLength(1);
    expect(await knownOf(shared)).toHaveLength(1);
    const rows = await api.call('GET', `/datasets/${there}/refs/main/rows?path=t.csv.gz`);
    expect(rows.body).toMatchObject({ items: [{ id: 1 }, { id: 2 }] });
  });

  it('is not found out afterwards', async () => {
    const dataset = await api.aDataset();
    const hasty = await put(dataset, table('hasty'));
    await purge(dataset, hasty);
    await capturedAll(database);
    await eventually(async () => expect(await schemasOf(dataset)).toEqual([]));
    const job = await api.call('POST', `/datasets/${dataset}/analyses`, {
      json: { ref: 'main', kind: 'profile', path: 't.csv.gz' },
    });
    await expect(api.finishedJob(job)).rejects.toThrow('purged');
  });
});

it('a server that starts forgets what it had cached of contents that are gone', async () => {
  const dataDir = await mkdtemp(path.join(tmpdir(), 'varve-forget-'));
  const gone = sha256Of(Buffer.from('gone while the server was down'));
  const cache = path.join(dataDir, 'tables', 'cache');
  await mkdir(cache, { recursive: true });
  await writeFile(path.join(cache, `${gone}.bytes`), 'x');
  const other = await startApp({ DATA_DIR: dataDir });
  try {
    await eventually(async () => expect(await readdir(cache)).toEqual([]));
  } finally {
    await other.close();
    await rm(dataDir, { recursive: true, force: true });
  }
});
