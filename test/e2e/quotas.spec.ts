import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { buffer } from 'node:stream/consumers';
import { Client } from 'pg';
import { pack } from 'tar-stream';
import { startApp, type TestApp, type TestUser } from '../app.js';
import { codeOf, VersionsApi } from '../builders/versions-api.js';

const KIB = 1024;
/** A content of a size that is told from others by a letter. */
const bytes = (letter: string, size = KIB) => letter.repeat(size);

let server: TestApp;
let database: Client;
let made = 0;
let ada: TestUser;
let api: VersionsApi;
let admin: VersionsApi;

beforeAll(async () => {
  server = await startApp({ DATASET_QUOTA_BYTES: String(8 * KIB) });
  admin = new VersionsApi(server, server.admin);
  database = new Client(server.databaseUrl);
  await database.connect();
});
afterAll(async () => {
  await database.end();
  await server.close();
});
beforeEach(async () => {
  ada = await server.user(`ada ${(made += 1)}`);
  api = new VersionsApi(server, ada);
});

const limit = (limitBytes: number) =>
  admin.call('PUT', `/users/${ada.id}/quota`, { json: { limitBytes } });
const mine = async () => (await api.call<{ usedBytes: number }>('GET', '/users/me/quota')).body;
const upload = (body: string, by = api) =>
  by.call<{ id: number }>('POST', '/files?name=a.txt', {
    headers: { 'Content-Type': 'text/plain' },
    body,
  });
const statuses = (answers: { status: number }[]) => answers.map(({ status }) => status).sort();

/** What is charged to those with a quota, and what they hold, as verification sees it. */
async function chargedTooLittle() {
  const job = await admin.finishedJob(
    await admin.call('POST', '/admin/verify', { json: { hash: false } }),
  );
  return job['findingCounts'];
}

describe("a user's quota", () => {
  it('is none until somebody sets one', async () => {
    expect(await mine()).toEqual({ limitBytes: null, isDefault: true, usedBytes: 0 });
    expect((await limit(3 * KIB)).body).toEqual({
      limitBytes: 3 * KIB,
      isDefault: false,
      usedBytes: 0,
    });
    const reset = await admin.call('DELETE', `/users/${ada.id}/quota`);
    expect(reset.body).toEqual({ limitBytes: null, isDefault: true, usedBytes: 0 });
  });

  it('refuses what does not fit, says how much that is, and keeps nothing of it', async () => {
    await limit(3 * KIB);
    expect((await upload(bytes('a', 2 * KIB))).status).toBe(201);
    const refused = await upload(bytes('b', 2 * KIB));
    expect(codeOf(refused)).toBe('403 quota-exceeded');
    expect(refused.body).toMatchObject({
      holder: 'user',
      limitBytes: 3 * KIB,
      usedBytes: 2 * KIB,
      neededBytes: 2 * KIB,
      detail: expect.stringContaining('ask an administrator'),
    });
    expect(await mine()).toMatchObject({ usedBytes: 2 * KIB });
    expect((await upload(bytes('c'))).status).toBe(201);
    expect(await chargedTooLittle()).toEqual({});
  });

  it('counts a content once, however often it is sent, and in however many datasets it stands', async () => {
    await limit(3 * KIB);
    const { id } = (await upload(bytes('a', 2 * KIB))).body;
    for (let n = 0; n < 3; n++) {
      expect((await upload(bytes('a', 2 * KIB))).status).toBeLessThan(300);
      const dataset = await api.aDataset();
      const put = (path: string) => ({ op: 'put', path, fileId: id });
      expect((await api.commit(dataset, [put('one'), put('two')])).status).toBe(201);
      expect((await api.commit(dataset, [put('three')])).status).toBe(201);
    }
    expect(await mine()).toMatchObject({ usedBytes: 2 * KIB });
    expect((await upload(bytes('b', 2 * KIB))).status).toBe(403);
  });

  it('is judged by the database where uploads come at once', async () => {
    await limit(3 * KIB);
    const letters = [...'abcdefgh'];
    const answers = await Promise.all(letters.map((letter) => upload(bytes(letter))));
    expect(statuses(answers)).toEqual([201, 201, 201, 403, 403, 403, 403, 403]);
    expect(await mine()).toMatchObject({ usedBytes: 3 * KIB });
  });

  it('does not spoil the uploads of others who share its transaction', async () => {
    await limit(0);
    const bob = new VersionsApi(server, await server.user(`bob ${made}`));
    const answers = await Promise.all(
      [...'abcdef'].flatMap((letter) => [upload(bytes(letter)), upload(bytes(letter), bob)]),
    );
    expect(statuses(answers)).toEqual([201, 201, 201, 201, 201, 201, 403, 403, 403, 403, 403, 403]);
  });

  it('has room again for what was given back', async () => {
    await limit(2 * KIB);
    const { id } = (await upload(bytes('a', 2 * KIB))).body;
    expect((await upload(bytes('b'))).status).toBe(403);
    expect((await api.call('DELETE', `/files/${id}`)).status).toBe(204);
    expect((await upload(bytes('b'))).status).toBe(201);
    expect(await mine()).toMatchObject({ usedBytes: KIB });
  });

  it('counts what others put into the datasets of a user, who alone is told how much that is', async () => {
    const dataset = await api.aDataset();
    await limit(KIB);
    const bob = await server.user(`bob ${made}`);
    await api.call('PUT', `/datasets/${dataset}/permissions/${bob.id}`, {
      json: { permission: 'write' },
    });
    const theirs = new VersionsApi(server, bob);
    expect((await theirs.commitFiles(dataset, { 'a.txt': bytes('a') })).status).toBe(201);
    const refused = await theirs.commitFiles(dataset, { 'b.txt': bytes('b') });
    expect(codeOf(refused)).toBe('403 quota-exceeded');
    expect(refused.body).toMatchObject({ holder: 'owner', neededBytes: KIB });
    expect(refused.body).not.toHaveProperty('usedBytes');
    expect(await mine()).toMatchObject({ usedBytes: KIB });
  });

  it('is set by administrators, and theirs and its own to read', async () => {
    const at = `/users/${ada.id}/quota`;
    expect((await api.call('PUT', at, { json: { limitBytes: 1 } })).status).toBe(403);
    expect((await api.call('DELETE', at)).status).toBe(403);
    expect((await api.call('GET', at)).status).toBe(403);
    expect((await admin.call('GET', at)).status).toBe(200);
    expect((await admin.call('GET', '/users/2147483647/quota')).status).toBe(404);
    expect((await admin.call('PUT', at, { json: { limitBytes: -1 } })).status).toBe(400);
    expect((await admin.call('PUT', at, { json: { limitBytes: 2 ** 53 } })).status).toBe(400);
    expect((await admin.call('PUT', at, { json: {} })).status).toBe(400);
  });
});

describe("a dataset's quota", () => {
  let dataset: number;
  beforeEach(async () => {
    dataset = await api.aDataset();
  });
  const quota = async () =>
    (await api.call<Record<string, unknown>>('GET', `/datasets/${dataset}/quota`)).body;
  const limitTo = (limitBytes: number) =>
    admin.call('PUT', `/datasets/${dataset}/quota`, { json: { limitBytes } });

  it('is the default until an administrator sets another, and the audit knows', async () => {
    expect(await quota()).toEqual({ limitBytes: 8 * KIB, isDefault: true, usedBytes: 0 });
    const at = `/datasets/${dataset}/quota`;
    expect((await api.call('PUT', at, { json: { limitBytes: 1 } })).status).toBe(403);
    expect((await limitTo(2 * KIB)).status).toBe(200);
    expect(await quota()).toEqual({ limitBytes: 2 * KIB, isDefault: false, usedBytes: 0 });
    const { rows } = await database.query(
      `SELECT before, after, actor_id FROM audit_log
       WHERE action = 'dataset.changed' AND dataset_id = $1`,
      [dataset],
    );
    expect(rows).toEqual([
      {
        before: { storage_quota: null },
        after: { storage_quota: 2 * KIB },
        actor_id: server.admin.id,
      },
    ]);
  });

  it('holds for commits, drafts and archives alike', async () => {
    expect((await api.commitFiles(dataset, { a: bytes('a', 6 * KIB) })).status).toBe(201);
    const refused = await api.commitFiles(dataset, { b: bytes('b', 3 * KIB) });
    expect(codeOf(refused)).toBe('403 quota-exceeded');
    expect(refused.body).toMatchObject({
      holder: 'dataset',
      limitBytes: 8 * KIB,
      usedBytes: 6 * KIB,
      neededBytes: 3 * KIB,
    });
    const draft = (
      await api.call<{ id: number }>('POST', `/datasets/${dataset}/drafts`, { json: {} })
    ).body.id;
    const fileId = await api.upload(bytes('c', 3 * KIB));
    const put = await api.call('POST', `/datasets/${dataset}/drafts/${draft}/files`, {
      json: { operations: [{ op: 'put', path: 'c', fileId }] },
    });
    expect(codeOf(put)).toBe('403 quota-exceeded');
    const archive = pack();
    archive.entry({ name: 'fits' }, bytes('d'));
    archive.entry({ name: 'does not' }, bytes('e', 2 * KIB));
    archive.finalize();
    const received = await api.call('PUT', `/datasets/${dataset}/drafts/${draft}/archive`, {
      body: await buffer(archive),
      headers: { 'Content-Type': 'application/x-tar' },
    });
    expect(codeOf(received)).toBe('403 quota-exceeded');
    expect(await quota()).toMatchObject({ usedBytes: 6 * KIB });
    // What is there already takes no more room, wherever else it is put.
    expect((await api.commitFiles(dataset, { again: bytes('a', 6 * KIB) })).status).toBe(201);
    expect(await chargedTooLittle()).toEqual({});
  });

  it('is judged by the database where drafts are filled at once', async () => {
    await limitTo(3 * KIB);
    const ids = await Promise.all([...'abcdef'].map((letter) => api.upload(bytes(letter))));
    const answers = await Promise.all(
      ids.map(async (fileId) => {
        const draft = await api.call<{ id: number }>('POST', `/datasets/${dataset}/drafts`, {
          json: {},
        });
        return api.call('POST', `/datasets/${dataset}/drafts/${draft.body.id}/files`, {
          json: { operations: [{ op: 'put', path: 'a', fileId }] },
        });
      }),
    );
    expect(statuses(answers).filter((status) => status === 403)).toHaveLength(3);
    expect(await quota()).toMatchObject({ usedBytes: 3 * KIB });
    expect(await chargedTooLittle()).toEqual({});
  });

  it('has room again when a draft is discarded, and lets all go on that adds nothing', async () => {
    await limitTo(2 * KIB);
    const draft = (
      await api.call<{ id: number }>('POST', `/datasets/${dataset}/drafts`, { json: {} })
    ).body.id;
    const fileId = await api.upload(bytes('a', 2 * KIB));
    const put = await api.call('POST', `/datasets/${dataset}/drafts/${draft}/files`, {
      json: { operations: [{ op: 'put', path: 'a', fileId }] },
    });
    expect(put.status).toBe(200);
    expect((await api.commitFiles(dataset, { b: bytes('b') })).status).toBe(403);
    await api.call('DELETE', `/datasets/${dataset}/drafts/${draft}`);
    expect((await api.commitFiles(dataset, { b: bytes('b') })).status).toBe(201);
    await limitTo(0);
    const moved = await api.commit(dataset, [{ op: 'move', from: 'b', path: 'c' }]);
    expect(moved.status).toBe(201);
    expect((await api.commit(dataset, [{ op: 'remove', path: 'c' }])).status).toBe(201);
  });

  it('is charged anew after garbage was collected, and a charge that is too low is found', async () => {
    await limitTo(2 * KIB);
    await api.commitFiles(dataset, { a: bytes('a') });
    await database.query(
      `UPDATE storage_usage SET charged_bytes = 1
       WHERE holder_type = 'dataset' AND holder_id = $1`,
      [dataset],
    );
    expect(await chargedTooLittle()).toEqual({ 'storage-charge': 1 });
    await admin.finishedJob(await admin.call('POST', '/admin/gc', { json: {} }));
    expect(await chargedTooLittle()).toEqual({});
    expect((await api.commitFiles(dataset, { b: bytes('b', 2 * KIB) })).status).toBe(403);
  });
});
