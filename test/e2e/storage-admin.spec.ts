import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, open, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Client } from 'pg';
import { startApp, type TestApp, type TestUser } from '../app.js';
import { eventually } from '../builders/eventually.js';
import type { components } from '../client/schema.js';

type Job = components['schemas']['JobView'];
type Garbage = components['schemas']['GarbagePage'];

let server: TestApp;
let ada: TestUser;
let bob: TestUser;
let database: Client;

beforeAll(async () => {
  server = await startApp({ GC_GRACE: '0s', DATASET_RETENTION: '0s', GC_SCHEDULE: '0 0 1 1 *' });
  ada = await server.user('ada');
  bob = await server.user('bob');
  database = new Client(server.databaseUrl);
  await database.connect();
});

afterAll(async () => {
  await database.end();
  await server.close();
});

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
const keyOf = (digest: string) => `artifacts/${digest.slice(0, 2)}/${digest.slice(2, 4)}/${digest}`;
const pathOf = (digest: string) => path.join(server.config.DATA_DIR, keyOf(digest));

function request(user: TestUser, url: string, init: RequestInit = {}): Promise<Response> {
  return fetch(`${server.url}/api/v1${url}`, {
    ...init,
    headers: { Authorization: `Bearer ${user.token}`, ...(init.headers as object) },
  });
}

async function upload(user: TestUser, bytes: Buffer, name = 'a.bin'): Promise<number> {
  const answer = await request(user, `/files?name=${encodeURIComponent(name)}`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/octet-stream' },
    body: new Uint8Array(bytes),
  });
  expect(answer.status).toBeLessThan(300);
  return ((await answer.json()) as { id: number }).id;
}

async function finished(job: Job | undefined): Promise<Job> {
  if (!job) throw new Error('There is no job.');
  return eventually(async () => {
    const { data } = await server.admin.api.GET('/api/v1/jobs/{jobId}', {
      params: { path: { jobId: job.id } },
    });
    return data && ['completed', 'failed', 'cancelled'].includes(data.state) ? data : null;
  });
}

async function collect(): Promise<Job> {
  const { data, response } = await server.admin.api.POST('/api/v1/admin/gc', { body: {} });
  const job = data as Job;
  expect(response.status).toBe(202);
  expect(response.headers.get('location')).toBe(`/api/v1/jobs/${job.id}`);
  return finished(job);
}

async function dryRun(query: { limit?: number; cursor?: string } = {}): Promise<Garbage> {
  const { data, response } = await server.admin.api.POST('/api/v1/admin/gc', {
    params: { query },
    body: { dryRun: true },
  });
  expect(response.status).toBe(200);
  return data as Garbage;
}

async function verify(): Promise<Job> {
  const { data, response } = await server.admin.api.POST('/api/v1/admin/verify', { body: {} });
  expect(response.status).toBe(202);
  return finished(data);
}

describe('GET and HEAD /files/{id}/content', () => {
  it('gives the bytes to whoever may read them, and says nothing to others', async () => {
    const bytes = randomBytes(200_000);
    const id = await upload(ada, bytes, 'Größe 🌊.csv');
    const answer = await request(ada, `/files/${id}/content`);
    expect(Buffer.from(await answer.arrayBuffer()).equals(bytes)).toBe(true);
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      etag: `"sha256-${sha256(bytes)}"`,
      'cache-control': 'private, max-age=31536000, immutable',
      'content-disposition':
        'attachment; filename="Gr??e ??.csv"; filename*=UTF-8\'\'Gr%C3%B6%C3%9Fe%20%F0%9F%8C%8A.csv',
      'content-security-policy': "sandbox; default-src 'none'",
      'x-content-type-options': 'nosniff',
    });
    const head = await request(ada, `/files/${id}/content`, { method: 'HEAD' });
    expect([head.status, head.headers.get('content-length')]).toEqual([200, '200000']);

    const stranger = await request(bob, `/files/${id}/content`);
    const nobody = await request(bob, `/files/${2 ** 31 - 1}/content`);
    expect([stranger.status, nobody.status]).toEqual([404, 404]);
  });

  it('answers a range, and problems as problems', async () => {
    const bytes = randomBytes(1000);
    const id = await upload(ada, bytes);
    const get = (headers: Record<string, string>) =>
      request(ada, `/files/${id}/content`, { headers });
    const part = await get({ Range: 'bytes=-10' });
    expect([part.status, part.headers.get('content-range')]).toEqual([206, 'bytes 990-999/1000']);
    expect(Buffer.from(await part.arrayBuffer()).equals(bytes.subarray(990))).toBe(true);

    const beyond = await get({ Range: 'bytes=1000-' });
    expect([beyond.status, beyond.headers.get('content-range')]).toEqual([416, 'bytes */1000']);
    expect(beyond.headers.get('content-type')).toContain('application/problem+json');
    expect((await get({ 'If-Match': '"other"' })).status).toBe(412);
    expect((await get({ 'If-None-Match': `"sha256-${sha256(bytes)}"` })).status).toBe(304);
  });
});

describe('POST /admin/gc', () => {
  it('is for administrators', async () => {
    const { response } = await ada.api.POST('/api/v1/admin/gc', { body: { dryRun: true } });
    expect(response.status).toBe(403);
  });

  it('names in a dry run, page by page, what a run then deletes', async () => {
    const kept = await upload(ada, randomBytes(64));
    const released = [randomBytes(65), randomBytes(66), randomBytes(67)];
    const ids: number[] = [];
    for (const bytes of released) ids.push(await upload(ada, bytes));
    for (const id of ids) await request(ada, `/files/${id}`, { method: 'DELETE' });
    const orphan = randomBytes(68);
    const orphanPath = pathOf(sha256(orphan));
    await mkdir(path.dirname(orphanPath), { recursive: true });
    await writeFile(orphanPath, orphan);

    const first = await dryRun({ limit: 2 });
    expect(first.totals).toEqual({ files: 3, objects: 1, sizeBytes: 65 + 66 + 67 + 68 });
    const second = await dryRun({ limit: 2, cursor: first.nextCursor! });
    expect([second.totals, second.nextCursor]).toEqual([null, null]);
    const named = [...first.items, ...second.items];
    expect(named.map((item) => [item.fileId, item.path, item.sizeBytes, item.reason])).toEqual([
      ...released.map((bytes, i) => [ids[i], keyOf(sha256(bytes)), bytes.length, 'unreferenced']),
      [null, keyOf(sha256(orphan)), 68, 'orphan'],
    ]);

    const { state, result } = await collect();
    expect(state).toBe('completed');
    expect(result).toMatchObject({
      filesDeleted: 3,
      orphansFound: 0,
      objectsDeleted: 4,
      bytesFreed: first.totals!.sizeBytes,
      failures: 0,
    });
    expect((await dryRun()).items).toEqual([]);
    for (const id of ids) expect((await request(ada, `/files/${id}`)).status).toBe(404);
    expect((await request(ada, `/files/${kept}/content`)).status).toBe(200);
  });

  it.each(['x', Buffer.from('["files",0]').toString('base64url')])(
    'refuses the forged cursor %s',
    async (cursor) => {
      const { response } = await server.admin.api.POST('/api/v1/admin/gc', {
        params: { query: { cursor } },
        body: { dryRun: true },
      });
      expect(response.status).toBe(400);
    },
  );
});

describe('POST /admin/verify', () => {
  it('is for administrators', async () => {
    const { response } = await ada.api.POST('/api/v1/admin/verify', { body: {} });
    expect(response.status).toBe(403);
  });

  it('finds a flipped byte; the file is refused until the same content heals it', async () => {
    const bytes = randomBytes(3_000_000);
    const id = await upload(ada, bytes);
    expect(await verify()).toMatchObject({ state: 'completed', result: { ok: true } });

    const file = await open(pathOf(sha256(bytes)), 'r+');
    await file.write(Buffer.from([bytes[2_000_000]! ^ 1]), 0, 1, 2_000_000);
    await file.close();
    expect((await verify()).result).toMatchObject({
      ok: false,
      findings: [{ kind: 'content', fileId: id, expected: sha256(bytes) }],
    });
    const refused = await request(ada, `/files/${id}/content`);
    expect([refused.status, await refused.json()]).toMatchObject([
      409,
      { type: 'urn:varve:problem:file-damaged', fileId: id },
    ]);

    expect(await upload(ada, bytes)).toBe(id);
    const healed = await request(ada, `/files/${id}/content`);
    expect(sha256(Buffer.from(await healed.arrayBuffer()))).toBe(sha256(bytes));
    expect((await verify()).result).toMatchObject({ ok: true, findings: [] });
  });
});

describe('deleting a dataset', () => {
  it('lets its files go once it can no longer be restored, and the collector takes them', async () => {
    const bytes = randomBytes(777);
    const id = await upload(ada, bytes);
    const { data: dataset } = await ada.api.POST('/api/v1/datasets', { body: { name: 'gone' } });
    const at = { params: { path: { datasetId: dataset!.id } } };
    const commit = await ada.api.POST('/api/v1/datasets/{datasetId}/versions', {
      ...at,
      body: {
        branch: 'main',
        message: 'put',
        operations: [{ op: 'put', path: 'a.bin', fileId: id }],
      },
    });
    expect(commit.response.status).toBe(201);
    await request(ada, `/files/${id}`, { method: 'DELETE' });
    await collect();
    expect((await request(ada, `/files/${id}/content`)).status).toBe(200);

    await ada.api.DELETE('/api/v1/datasets/{datasetId}', at);
    await eventually(async () => {
      const { rows } = await database.query<object>(
        'SELECT 1 FROM files WHERE id = $1 AND reference_count = 0',
        [id],
      );
      return rows[0] ?? null;
    });
    expect((await verify()).result).toMatchObject({ ok: true });
    await collect();
    const { rows } = await database.query('SELECT 1 FROM files WHERE id = $1', [id]);
    expect(rows).toEqual([]);
    expect((await verify()).result).toMatchObject({ ok: true });
  });
});
