import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { buffer } from 'node:stream/consumers';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { Client } from 'pg';
import { pack, type Header } from 'tar-stream';
import { DraftExpiry } from '../../src/versioning/draft-expiry.js';
import { startApp, type TestApp } from '../app.js';
import { codeOf, VersionsApi, type Answer, type Version } from '../builders/versions-api.js';
import type { components } from '../client/schema.js';

type Draft = components['schemas']['DraftView'];

let server: TestApp;
let api: VersionsApi;
let database: Client;

beforeAll(async () => {
  server = await startApp();
  api = new VersionsApi(server, await server.user('ada'));
  database = new Client(server.databaseUrl);
  await database.connect();
});

afterAll(async () => {
  await database.end();
  await server.close();
});

const open = async (dataset: number, json: Record<string, unknown> = {}) =>
  (await api.call<Draft>('POST', `/datasets/${dataset}/drafts`, { json })).body;

const change = (dataset: number, draft: number, operations: unknown) =>
  api.call<Draft>('POST', `/datasets/${dataset}/drafts/${draft}/files`, { json: { operations } });

const commit = (dataset: number, draft: number, more: Record<string, unknown> = {}) =>
  api.call<Version>('POST', `/datasets/${dataset}/drafts/${draft}/commit`, {
    json: { message: 'a draft', ...more },
  });

const putArchive = (
  dataset: number,
  draft: number,
  body: Uint8Array | ReadableStream,
): Promise<Answer<Draft>> =>
  api.call<Draft>('PUT', `/datasets/${dataset}/drafts/${draft}/archive`, {
    body,
    headers: { 'Content-Type': 'application/x-tar' },
  });

async function tarOf(...entries: (Partial<Header> & { content?: string })[]): Promise<Buffer> {
  const archive = pack();
  for (const { content = '', ...header } of entries) {
    archive.entry({ name: 'x', ...header }, content);
  }
  archive.finalize();
  return buffer(archive);
}

/** References that the files have, and those that a recount finds; and scratches left behind. */
async function accounts(): Promise<{ wrong: unknown[]; scratches: number }> {
  const { rows: wrong } = await database.query(
    `SELECT f.id, f.reference_count, c.count FROM files f LEFT JOIN (
       SELECT file_id, count(*) FROM (
         SELECT file_id FROM dataset_version_files WHERE file_id IS NOT NULL
         UNION ALL SELECT overlay_file_id FROM dataset_versions WHERE overlay_file_id IS NOT NULL
         UNION ALL SELECT file_id FROM upload_holds
       ) r GROUP BY 1
     ) c ON c.file_id = f.id WHERE f.reference_count <> coalesce(c.count, 0)`,
  );
  const { rows } = await database.query<{ count: number }>(
    'SELECT count(*)::integer AS count FROM dataset_versions WHERE draft_of IS NOT NULL',
  );
  return { wrong, scratches: rows[0]?.count ?? 0 };
}

describe('drafts', () => {
  it('are changed by many at once, read like versions, and committed in one step', async () => {
    const dataset = await api.aDataset();
    await api.commitFiles(dataset, { keep: 'kept', drop: 'dropped', move: 'moved' });
    const draft = await open(dataset);
    expect(draft).toMatchObject({ branch: 'main', fileCount: 3 });
    const ids = await Promise.all(Array.from({ length: 12 }, (_, i) => api.upload(`new ${i}`)));
    const changed = await Promise.all([
      ...ids.map((fileId, i) =>
        change(dataset, draft.id, [{ op: 'put', path: `new/${i}`, fileId }]),
      ),
      change(dataset, draft.id, [{ op: 'move', from: 'move', path: 'there' }]),
      api.call('DELETE', `/datasets/${dataset}/drafts/${draft.id}/files?path=drop`),
    ]);
    expect(changed.map(({ status }) => status)).toEqual(changed.map(() => 200));
    // Putting back what the parent has leaves nothing in the overlay.
    const file = await api.upload('kept');
    await change(dataset, draft.id, [{ op: 'remove', path: 'keep' }]);
    await change(dataset, draft.id, [{ op: 'put', path: 'keep', fileId: file }]);

    const ref = `draft:${draft.id}`;
    const expected = {
      keep: 'kept',
      there: 'moved',
      ...Object.fromEntries(ids.map((_, i) => [`new/${i}`, `new ${i}`])),
    };
    expect(await api.tree(dataset, ref)).toEqual(expected);
    expect(await api.tree(dataset, 'main')).toEqual({
      keep: 'kept',
      drop: 'dropped',
      move: 'moved',
    });
    const shown = await api.call<Draft>('GET', `/datasets/${dataset}/refs/${ref}`);
    expect(shown.body).toMatchObject({ id: draft.id, fileCount: 14 });
    const archived = await api.call('GET', `/datasets/${dataset}/refs/${ref}/archive`);
    expect(archived.status).toBe(200);
    const made = await commit(dataset, draft.id);
    expect(made.body).toMatchObject({ id: draft.id, versionNumber: 2, fileCount: 14 });
    expect(await api.tree(dataset, 'main')).toEqual(expected);
    const { rows } = await database.query(
      `SELECT component_name AS name FROM dataset_version_files WHERE version_id = $1
       AND component_name NOT LIKE 'new/%' ORDER BY 1`,
      [draft.id],
    );
    expect(rows).toEqual([{ name: 'drop' }, { name: 'move' }, { name: 'there' }]);
    expect(codeOf(await commit(dataset, draft.id))).toBe('404 not-found');
    expect(codeOf(await change(dataset, draft.id, [{ op: 'remove', path: 'keep' }]))).toBe(
      '404 not-found',
    );
    expect((await accounts()).wrong).toEqual([]);
  });

  it('are refused where the branch has moved on, or carried over where nothing conflicts', async () => {
    const dataset = await api.aDataset();
    await api.commitFiles(dataset, { a: 'a', b: 'b' });
    const [clean, both, clash] = [await open(dataset), await open(dataset), await open(dataset)];
    const put = async (draft: Draft, path: string, content: string) =>
      change(dataset, draft.id, [{ op: 'put', path, fileId: await api.upload(content) }]);
    await put(clean, 'c', 'mine');
    await put(both, 'a', 'theirs');
    await put(both, 'd', 'd');
    await put(clash, 'a', 'mine');
    const moved = await api.commitFiles(dataset, { a: 'theirs' });
    const stale = await commit(dataset, clean.id);
    expect(codeOf(stale)).toBe('412 ref-moved');
    expect(stale.body).toMatchObject({ ref: 'main', actual: moved.body.digest });
    expect((await commit(dataset, clean.id, { rebase: true })).body.fileCount).toBe(3);
    expect((await commit(dataset, both.id, { rebase: true })).body.fileCount).toBe(4);
    const conflict = await commit(dataset, clash.id, { rebase: true });
    expect(codeOf(conflict)).toBe('409 merge-conflicts');
    expect(conflict.body).toMatchObject({ conflicts: [{ path: 'a' }] });
    expect(await api.tree(dataset, 'main')).toEqual({ a: 'theirs', b: 'b', c: 'mine', d: 'd' });
    expect((await accounts()).wrong).toEqual([]);
  });

  it('start from any ref, are listed, discarded, and expire', async () => {
    const dataset = await api.aDataset();
    const empty = await open(dataset);
    expect(empty).toMatchObject({ parentId: null, fileCount: 0 });
    expect(codeOf(await commit(dataset, empty.id))).toBe('409 nothing-changed');
    await api.commitFiles(dataset, { a: 'a' });
    await api.commitFiles(dataset, { b: 'b' });
    const old = await open(dataset, { from: '1' });
    expect(old).toMatchObject({ branch: 'main', fileCount: 1 });
    const drafts = await api.everything<Draft>(`/datasets/${dataset}/drafts?limit=1`);
    expect(drafts.map(({ id }) => id)).toEqual([old.id, empty.id]);
    await change(dataset, old.id, [{ op: 'put', path: 'x', fileId: await api.upload('x') }]);
    expect((await api.call('DELETE', `/datasets/${dataset}/drafts/${old.id}`)).status).toBe(204);
    expect(codeOf(await api.call('GET', `/datasets/${dataset}/refs/draft:${old.id}`))).toBe(
      '404 not-found',
    );
    await database.query(
      `UPDATE dataset_versions SET draft_touched_at = now() - interval '8 days' WHERE id = $1`,
      [empty.id],
    );
    expect(await server.app.get(DraftExpiry, { strict: false }).expire()).toBe(1);
    expect(await api.everything<Draft>(`/datasets/${dataset}/drafts?limit=9`)).toEqual([]);
    for (const json of [{ from: 'nowhere' }, { branch: 'nowhere' }]) {
      const answer = await api.call('POST', `/datasets/${dataset}/drafts`, { json });
      expect(codeOf(answer)).toBe('404 not-found');
    }
    expect((await accounts()).wrong).toEqual([]);
  });

  it('are what changes; a committed version says so', async () => {
    const dataset = await api.aDataset();
    await api.commitFiles(dataset, { a: 'a' });
    const draft = await open(dataset);
    const operations = [{ op: 'put', path: 'b', fileId: await api.upload('b') }];
    for (const ref of ['main', '1']) {
      const at = `/datasets/${dataset}/refs/${ref}/files`;
      expect(codeOf(await api.call('POST', at, { json: { operations } }))).toBe(
        '409 version-immutable',
      );
      expect(codeOf(await api.call('DELETE', `${at}?path=a`))).toBe('409 version-immutable');
    }
    const at = `/datasets/${dataset}/refs/draft:${draft.id}/files`;
    await api.call('POST', at, { json: { operations } });
    await api.call('DELETE', `${at}?path=a`);
    expect(await api.tree(dataset, `draft:${draft.id}`)).toEqual({ b: 'b' });
    expect(codeOf(await api.call('DELETE', `${at}?path=a`))).toBe('409 path-missing');
  });
});

describe('archives into a draft', () => {
  const large = 'large '.repeat(50_000);
  const contents = { 'a.txt': 'a', 'dir/large': large, 'dir/é/🦊': 'fox', empty: '' };
  const entries = [
    { name: './', type: 'directory' as const },
    { name: './a.txt', content: 'before' },
    { name: 'dir', type: 'directory' as const },
    ...Object.entries(contents).map(([name, content]) => ({ name, content })),
  ];

  it.each([
    ['plain', (tar: Buffer) => tar],
    ['gzip', gzipSync],
    ['zstd', zstdCompressSync],
  ] as const)('put a whole directory, %s', async (_, compress) => {
    const dataset = await api.aDataset();
    const draft = await open(dataset);
    const answer = await putArchive(dataset, draft.id, compress(await tarOf(...entries)));
    expect(answer.body).toMatchObject({ fileCount: 4 });
    expect(await api.tree(dataset, `draft:${draft.id}`)).toEqual(contents);
    const made = await commit(dataset, draft.id);
    expect(made.body).toMatchObject({ fileCount: 4 });
    expect(await accounts()).toEqual({ wrong: [], scratches: 0 });
  });

  it('take many files in batches, and replace what was there', async () => {
    const dataset = await api.aDataset();
    await api.commitFiles(dataset, { '3': 'before', other: 'stays' });
    const draft = await open(dataset);
    const many = Array.from({ length: 1200 }, (_, i) => ({ name: `${i}`, content: `c${i % 400}` }));
    const answer = await putArchive(dataset, draft.id, await tarOf(...many));
    expect(answer.body).toMatchObject({ fileCount: 1201 });
    expect(await api.text(dataset, `draft:${draft.id}`, '3')).toBe('c3');
    expect(await accounts()).toEqual({ wrong: [], scratches: 0 });
  });

  it.each([
    ['../evil', {}],
    ['a/../../evil', {}],
    ['/etc/passwd', {}],
    ['..\\evil', {}],
    ['link', { type: 'symlink' as const, linkname: '/etc/passwd' }],
    ['hard', { type: 'link' as const, linkname: 'a' }],
    ['device', { type: 'character-device' as const }],
    ['pipe', { type: 'fifo' as const }],
    ['../', { type: 'directory' as const }],
  ])('refuse %s by name, and nothing of the request stays', async (name, header) => {
    const dataset = await api.aDataset();
    const draft = await open(dataset);
    const first = Array.from({ length: 300 }, (_, i) => ({ name: `ok ${i}`, content: `ok ${i}` }));
    const answer = await putArchive(dataset, draft.id, await tarOf(...first, { name, ...header }));
    expect(codeOf(answer)).toBe('422 archive-refused');
    expect(answer.body).toMatchObject({ entry: name });
    expect(await api.tree(dataset, `draft:${draft.id}`)).toEqual({});
    expect(await accounts()).toEqual({ wrong: [], scratches: 0 });
  });

  it('refuse what is no whole tar', async () => {
    const dataset = await api.aDataset();
    const draft = await open(dataset);
    const tar = await tarOf({ name: 'a', content: large });
    for (const body of [
      Buffer.from('not a tar at all '.repeat(100)),
      tar.subarray(0, 100_000),
      gzipSync(tar).subarray(0, 200),
      Buffer.concat([gzipSync(tar).subarray(0, 100), Buffer.alloc(500, 7)]),
    ]) {
      expect(codeOf(await putArchive(dataset, draft.id, body))).toBe('422 archive-refused');
    }
    expect(await api.tree(dataset, `draft:${draft.id}`)).toEqual({});
    expect(await accounts()).toEqual({ wrong: [], scratches: 0 });
  });

  it('leave nothing when the sender goes away', async () => {
    const dataset = await api.aDataset();
    const draft = await open(dataset);
    const tar = await tarOf(
      ...Array.from({ length: 4500 }, (_, i) => ({ name: `${i}`, content: `gone ${i}` })),
    );
    const body = new ReadableStream({
      start(controller) {
        controller.enqueue(tar.subarray(0, 4_300_000));
      },
      async pull(controller) {
        // Once batches have been stored, and not by the clock.
        for (;;) {
          const { rows } = await database.query(
            `SELECT 1 FROM dataset_version_files e JOIN dataset_versions v ON v.id = e.version_id
             WHERE v.draft_of = $1 LIMIT 1`,
            [draft.id],
          );
          if (rows.length > 0) break;
        }
        controller.error(new Error('gone'));
      },
    });
    await expect(putArchive(dataset, draft.id, body)).rejects.toThrow();
    for (;;) if ((await accounts()).scratches === 0) break;
    expect(await api.tree(dataset, `draft:${draft.id}`)).toEqual({});
    expect((await accounts()).wrong).toEqual([]);
  });
});
