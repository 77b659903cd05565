import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import { Client } from 'pg';
import { extract, pack } from 'tar-stream';
import { startApp, type TestApp } from '../app.js';
import { eventually } from '../builders/eventually.js';
import {
  codeOf,
  contentAt,
  VersionsApi,
  type FileEntry,
  type Version,
} from '../builders/versions-api.js';

let server: TestApp;
let api: VersionsApi;
let admin: VersionsApi;
let database: Client;

beforeAll(async () => {
  server = await startApp({ GC_SCHEDULE: '0 0 1 1 *', REMOVAL_GRACE: '0s' });
  api = new VersionsApi(server, await server.user('ada'));
  admin = new VersionsApi(server, server.admin);
  database = new Client(server.databaseUrl);
  await database.connect();
});

afterAll(async () => {
  await database.end();
  await server.close();
});

interface Purge {
  id: number;
  sha256: string;
  entries: number;
  liftedAt: string | null;
}

const sha256 = (content: string) => createHash('sha256').update(content).digest('hex');

const purge = (dataset: number, content: string, reason = 'a court said so') =>
  api.call<Purge>('POST', `/datasets/${dataset}/purge`, {
    json: { sha256: sha256(content), reason },
  });

const post = <T = Record<string, unknown>>(dataset: number, what: string, json: unknown) =>
  api.call<T>('POST', `/datasets/${dataset}/${what}`, { json });

const entriesOf = (dataset: number, ref: string) =>
  api.everything<FileEntry>(`/datasets/${dataset}/refs/${encodeURIComponent(ref)}/files?limit=9`);

async function expectNothingWrong(...datasets: number[]): Promise<void> {
  const storage = await admin.finishedJob(await admin.call('POST', '/admin/verify', { json: {} }));
  expect(storage).toMatchObject({ ok: true });
  for (const dataset of datasets) {
    const chain = await admin.finishedJob(
      await admin.call('POST', `/admin/verify?dataset=${dataset}`),
    );
    expect(chain).toMatchObject({ firstFault: null });
  }
}

/** The names and contents of a tar. */
async function archived(dataset: number, ref: string): Promise<Record<string, string>> {
  const answer = await fetch(
    `${server.url}/api/v1/datasets/${dataset}/refs/${ref}/archive?format=tar`,
    { headers: { Authorization: `Bearer ${api.user.token}` } },
  );
  const found: Record<string, string> = {};
  const reader = extract();
  Readable.from([Buffer.from(await answer.arrayBuffer())]).pipe(reader);
  for await (const entry of reader) found[entry.header.name] = await text(entry);
  return found;
}

/** Three versions, a branch and a draft with a secret in them. */
async function aSecret(secret: string): Promise<{ dataset: number; draft: number }> {
  const dataset = await api.aDataset();
  await api.commitFiles(dataset, { 'a.txt': secret, 'b.txt': 'open' });
  await api.commitFiles(dataset, { 'copies/c.txt': secret, 'b.txt': 'still open' });
  await post(dataset, 'branches', { name: 'work', from: '1' });
  await api.commitFiles(dataset, { 'd.txt': 'on work' }, { branch: 'work' });
  const draft = await post<{ id: number }>(dataset, 'drafts', {});
  const form = new FormData();
  form.append('file', new Blob([secret]), 'in-draft.txt');
  await api.call('POST', `/datasets/${dataset}/drafts/${draft.body.id}/files`, { body: form });
  return { dataset, draft: draft.body.id };
}

describe('purging a content', () => {
  it('takes it out of every version and draft, and nothing else', async () => {
    const secret = 'a secret in many places';
    const { dataset, draft } = await aSecret(secret);
    const elsewhere = await api.aDataset();
    await api.commitFiles(elsewhere, { 'same.txt': secret });

    const done = await purge(dataset, secret);
    expect(done.status).toBe(200);
    expect(done.body).toMatchObject({
      sha256: sha256(secret),
      sizeBytes: secret.length,
      reason: 'a court said so',
      entries: 3,
      purgedBy: api.user.id,
      liftedAt: null,
    });
    for (const [ref, at] of [
      ['1', 'a.txt'],
      ['main', 'a.txt'],
      ['2', 'copies/c.txt'],
      ['work', 'a.txt'],
      [`draft:${draft}`, 'in-draft.txt'],
      [`draft:${draft}`, 'a.txt'],
    ] as const) {
      const gone = await api.call('GET', contentAt(dataset, ref, at));
      expect(codeOf(gone)).toBe('410 content-purged');
      expect(gone.body).toMatchObject({ sha256: sha256(secret), reason: 'a court said so' });
      const head = await fetch(`${server.url}/api/v1${contentAt(dataset, ref, at)}`, {
        method: 'HEAD',
        headers: { Authorization: `Bearer ${api.user.token}` },
      });
      expect(head.status).toBe(410);
    }
    expect(await api.text(dataset, 'main', 'b.txt')).toBe('still open');
    expect(await api.text(elsewhere, 'main', 'same.txt')).toBe(secret);
    const [first, second] = await entriesOf(dataset, '1');
    expect(first).toMatchObject({
      path: 'a.txt',
      sha256: sha256(secret),
      sizeBytes: secret.length,
      mimeType: 'text/plain',
      purged: { reason: 'a court said so' },
    });
    expect(second).not.toHaveProperty('purged');
    await expectNothingWrong(dataset, elsewhere);

    const again = await purge(dataset, secret, 'another reason');
    expect(again.body).toEqual(done.body);
    const listed = await api.everything<Purge>(`/datasets/${dataset}/purges?limit=1`);
    expect(listed).toEqual([done.body]);
    const { rows } = await database.query<{ data: unknown }>(
      `SELECT data FROM events WHERE type = 'dataset.content.purged' AND subject = $1`,
      [`dataset/${dataset}`],
    );
    expect(rows.map(({ data }) => data)).toEqual([
      {
        datasetId: dataset,
        purgeId: done.body.id,
        sha256: sha256(secret),
        entries: 3,
        purgedBy: api.user.id,
        reason: 'a court said so',
      },
    ]);
  });

  it('has its bytes collected at once where no other dataset has them, held uploads or not', async () => {
    const secret = 'nobody else has this';
    const digest = sha256(secret);
    const file = path.join(
      server.config.DATA_DIR,
      `artifacts/${digest.slice(0, 2)}/${digest.slice(2, 4)}/${digest}`,
    );
    const dataset = await api.aDataset();
    const fileId = await api.upload(secret);
    await api.commit(dataset, [{ op: 'put', path: 'a', fileId }]);
    expect((await stat(file)).size).toBe(secret.length);
    await purge(dataset, secret);
    await eventually(async () => ((await stat(file).catch(() => null)) === null ? true : null));
    expect(codeOf(await api.call('GET', `/files/${fileId}`))).toBe('404 not-found');
    expect(codeOf(await api.call('GET', contentAt(dataset, 'main', 'a')))).toBe(
      '410 content-purged',
    );
    await expectNothingWrong(dataset);
  });

  it('is for administrators of the dataset, needs a reason, and knows only what is there', async () => {
    const { dataset } = await aSecret('a secret to be kept');
    const eve = new VersionsApi(server, await server.user('eve'));
    const json = { sha256: sha256('a secret to be kept'), reason: 'r' };
    const asked = () => eve.call('POST', `/datasets/${dataset}/purge`, { json });
    expect(codeOf(await asked())).toBe('404 not-found');
    await api.call('PUT', `/datasets/${dataset}/permissions/${eve.user.id}`, {
      json: { permission: 'write' },
    });
    expect(codeOf(await asked())).toBe('403 forbidden');
    for (const wrong of [{ reason: ' ' }, { reason: undefined }, { sha256: 'ABC' }, { more: 1 }]) {
      const refused = await post(dataset, 'purge', { ...json, ...wrong });
      expect(codeOf(refused)).toBe('400 invalid-input');
    }
    expect(codeOf(await purge(dataset, 'never uploaded'))).toBe('404 not-found');
    const other = await api.aDataset();
    expect(codeOf(await purge(other, 'a secret to be kept'))).toBe('404 not-found');
    await expectNothingWrong(dataset);
  });
});

describe('a purged content', () => {
  it('may not come back, by whatever way, until the purge is lifted', async () => {
    const secret = 'comes back and back';
    const { dataset, draft } = await aSecret(secret);
    const elsewhere = await api.aDataset();
    await api.commitFiles(elsewhere, { same: secret });
    const { body } = await purge(dataset, secret);
    const fileId = await api.upload(secret);
    const put = { op: 'put', path: 'again', fileId };
    const tar = pack();
    tar.entry({ name: 'again' }, secret);
    tar.finalize();
    const archive = await buffer(tar);
    const form = new FormData();
    form.append('file', new Blob([secret]), 'again');
    const at = `/datasets/${dataset}/drafts/${draft}`;
    const ways = () =>
      Promise.all([
        api.commit(dataset, [put]),
        api.commit(dataset, [{ op: 'put', path: 'again', sha256: sha256(secret) }]),
        api.commitFiles(dataset, { again: secret }),
        api.call('POST', `${at}/files`, { json: { operations: [put] } }),
        api.call('POST', `${at}/files`, { body: form }),
        api.call('PUT', `${at}/archive`, {
          body: archive,
          headers: { 'Content-Type': 'application/x-tar' },
        }),
      ]);
    for (const refused of await ways()) {
      expect(codeOf(refused)).toBe('422 purged-content-refused');
      expect(refused.body).toMatchObject({ refused: [{ reason: 'a court said so' }] });
    }
    expect((await api.commitFiles(dataset, { other: 'other' })).status).toBe(201);
    await expectNothingWrong(dataset);

    const lift = `/datasets/${dataset}/purges/${body.id}/lift`;
    expect(codeOf(await api.call('POST', lift, { json: {} }))).toBe('400 invalid-input');
    const lifted = await api.call('POST', lift, { json: { reason: 'the appeal' } });
    expect(lifted.body).toMatchObject({ liftedBy: api.user.id, liftReason: 'the appeal' });
    expect(codeOf(await api.call('POST', lift, { json: { reason: 'r' } }))).toBe('404 not-found');
    expect((await api.commit(dataset, [put])).status).toBe(201);
    expect(await api.text(dataset, 'main', 'again')).toBe(secret);
    expect(codeOf(await api.call('GET', contentAt(dataset, 'main', 'a.txt')))).toBe(
      '410 content-purged',
    );
    const second = await purge(dataset, secret);
    expect(second.body).toMatchObject({ entries: 1 });
    expect(second.body.id).not.toBe(body.id);
    await expectNothingWrong(dataset);
  });

  it('is left out of archives, which say so under a name that is free', async () => {
    const dataset = await api.aDataset();
    await api.commitFiles(dataset, { 'PURGED.json': 'taken', a: 'an archived secret', b: 'b' });
    await purge(dataset, 'an archived secret');
    const found = await archived(dataset, 'main');
    expect(Object.keys(found)).toEqual(['PURGED.json', 'b', 'PURGED-1.json']);
    expect(JSON.parse(found['PURGED-1.json']!)).toMatchObject({
      purgedCount: 1,
      purged: [{ path: 'a', sha256: sha256('an archived secret'), reason: 'a court said so' }],
    });
    const zip = await api.call('GET', `/datasets/${dataset}/refs/main/archive?format=zip`);
    expect(zip.status).toBe(200);
  });

  it('goes on being compared, moved, merged and reverted as what it was', async () => {
    const secret = 'moves about';
    const { dataset } = await aSecret(secret);
    await purge(dataset, secret);
    const moved = await api.commit(dataset, [{ op: 'move', from: 'a.txt', path: 'z.txt' }]);
    expect(moved.status).toBe(201);
    const before = await api.call<Version>('GET', `/datasets/${dataset}/refs/main~1`);
    expect(moved.body).toMatchObject({
      fileCount: before.body.fileCount,
      totalSizeBytes: before.body.totalSizeBytes,
    });
    const compared = await api.everything<{ kind: string; path: string; after: FileEntry }>(
      `/datasets/${dataset}/compare?base=2&head=main&limit=9`,
    );
    expect(compared).toMatchObject([
      { kind: 'moved', path: 'z.txt', from: 'a.txt', after: { sha256: sha256(secret) } },
    ]);
    const merged = await post(dataset, 'merges', { from: 'work', into: 'main' });
    expect(merged.body).toMatchObject({ kind: 'merge' });
    await api.commit(dataset, [{ op: 'remove', path: 'z.txt' }]);
    const reverted = await post<Version>(dataset, 'reverts', { version: 'main', branch: 'main' });
    expect(reverted.status).toBe(201);
    expect(codeOf(await api.call('GET', contentAt(dataset, 'main', 'z.txt')))).toBe(
      '410 content-purged',
    );
    const statistics = await api.call('GET', `/datasets/${dataset}/statistics`);
    expect(statistics.body).toMatchObject({ fileTypes: { txt: 4 } });
    await expectNothingWrong(dataset);
  });

  it('is purged from what removed versions left as well', async () => {
    const secret = 'older than the cut';
    const dataset = await api.aDataset();
    await api.commitFiles(dataset, { a: secret, b: '1' });
    await api.commitFiles(dataset, { b: '2' });
    await api.call('PUT', `/datasets/${dataset}/retention`, { json: { keepLast: 1 } });
    await api.finishedJob(await post(dataset, 'retention/runs', {}));
    expect(await api.text(dataset, 'main', 'a')).toBe(secret);
    expect((await purge(dataset, secret)).body.entries).toBe(1);
    expect(codeOf(await api.call('GET', contentAt(dataset, 'main', 'a')))).toBe(
      '410 content-purged',
    );
    await expectNothingWrong(dataset);
  });
});

describe('purging while others add the same content', () => {
  it('leaves nothing of it behind, whoever comes first', async () => {
    const secret = 'raced for';
    const { dataset, draft } = await aSecret(secret);
    const elsewhere = await api.aDataset();
    await api.commitFiles(elsewhere, { same: secret });
    const fileId = await api.upload(secret);
    const at = `/datasets/${dataset}/drafts/${draft}/files`;
    const inDraft = (n: number) =>
      api.call('POST', at, { json: { operations: [{ op: 'put', path: `d${n}`, fileId }] } });
    const formInDraft = (n: number) => {
      const form = new FormData();
      form.append('file', new Blob([secret]), `f${n}`);
      return api.call('POST', at, { body: form });
    };
    const answers = await Promise.all([
      ...[1, 2, 3].map((n) => api.commit(dataset, [{ op: 'put', path: `c${n}`, fileId }])),
      ...[1, 2, 3].map(inDraft),
      ...[7, 8].map(formInDraft),
      purge(dataset, secret),
      ...[4, 5, 6].map((n) => api.commitFiles(dataset, { [`c${n}`]: secret })),
      ...[4, 5, 6].map(inDraft),
      ...[9, 10].map(formInDraft),
    ]);
    for (const { status } of answers) expect([200, 201, 422]).toContain(status);
    const { rows } = await database.query(
      `SELECT FROM dataset_version_files e JOIN dataset_versions v ON v.id = e.version_id
       JOIN files f ON f.id = e.file_id WHERE v.dataset_id = $1 AND f.content_hash = $2`,
      [dataset, sha256(secret)],
    );
    expect(rows).toEqual([]);
    expect(await api.text(elsewhere, 'main', 'same')).toBe(secret);
    await expectNothingWrong(dataset, elsewhere);
  });
});
