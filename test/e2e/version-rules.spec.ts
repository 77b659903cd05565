import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Client } from 'pg';
import { startApp, type TestApp } from '../app.js';
import { codeOf, VersionsApi, type Version } from '../builders/versions-api.js';

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

const post = <T = Record<string, unknown>>(dataset: number, what: string, json: unknown) =>
  api.call<T>('POST', `/datasets/${dataset}/${what}`, { json });

const remove = (dataset: number, ref: string) =>
  api.call('DELETE', `/datasets/${dataset}/refs/${ref}`);

describe('deleting a version', () => {
  it('is refused while anything needs it, and names what does', async () => {
    const dataset = await api.aDataset();
    await api.commitFiles(dataset, { a: '1' });
    await api.commitFiles(dataset, { a: '2' }, { versionTag: 'v2' });
    const first = await remove(dataset, '1');
    expect(codeOf(first)).toBe('409 version-needed');
    expect(first.body).toMatchObject({ children: [2], pointers: [], drafts: [] });
    const draft = await post<{ id: number }>(dataset, 'drafts', {});
    const second = await remove(dataset, '2');
    expect(second.body).toMatchObject({ pointers: ['main', 'v2'], drafts: [draft.body.id] });
    expect(codeOf(await remove(dataset, '9'))).toBe('404 not-found');
  });

  it('lets it go with its references, and never gives its number again', async () => {
    const dataset = await api.aDataset();
    await api.commitFiles(dataset, { a: '1' });
    await post(dataset, 'branches', { name: 'work', from: 'main' });
    await api.commitFiles(dataset, { b: 'only in version 2' }, { branch: 'work' });
    await api.call('DELETE', `/datasets/${dataset}/branches/work`);
    expect((await remove(dataset, '2')).status).toBe(204);
    const gone = await api.call('GET', `/datasets/${dataset}/refs/2`);
    expect(codeOf(gone)).toBe('410 version-removed');
    expect(gone.body).toMatchObject({ versionNumber: 2, cause: 'deletion' });
    const { rows } = await database.query<{ reference_count: string }>(
      `SELECT reference_count FROM files WHERE file_size = $1`,
      ['only in version 2'.length],
    );
    expect(rows).toEqual([{ reference_count: '0' }]);
    const restored = await api.call('POST', `/datasets/${dataset}/branches/work/restore`);
    expect(codeOf(restored)).toBe('404 not-found');
    const next = await api.commitFiles(dataset, { c: '3' });
    expect(next.body.versionNumber).toBe(3);
    expect(await api.tree(dataset, 'main')).toEqual({ a: '1', c: '3' });
  });
});

describe('the chain of digests', () => {
  async function verify(dataset: number): Promise<Record<string, unknown>> {
    const admin = new VersionsApi(server, server.admin);
    return admin.finishedJob(await admin.call('POST', `/admin/verify?dataset=${dataset}`));
  }

  async function aHistory(): Promise<number> {
    const dataset = await api.aDataset();
    await api.commitFiles(dataset, { 'é "quoted"': '1', b: '2' });
    await post(dataset, 'branches', { name: 'work', from: 'main' });
    await api.commitFiles(dataset, { c: '3' }, { branch: 'work' });
    await api.commit(dataset, [{ op: 'remove', path: 'b' }]);
    await post(dataset, 'merges', { from: 'work', into: 'main' });
    const draft = await post<{ id: number }>(dataset, 'drafts', {});
    await api.call('DELETE', `/datasets/${dataset}/drafts/${draft.body.id}/files?path=c`);
    await post(dataset, `drafts/${draft.body.id}/commit`, { message: 'by ,"entries":[ draft' });
    return dataset;
  }

  it('holds over commits, merges, drafts, and a change of names', async () => {
    const dataset = await aHistory();
    await api.call('PATCH', `/datasets/${dataset}`, { json: { name: `renamed ${dataset}` } });
    const report = await verify(dataset);
    expect(report).toEqual({
      datasetId: dataset,
      verifiedVersions: 5,
      removedVersions: 0,
      firstFault: null,
    });
    const asked = await api.call('POST', `/admin/verify?dataset=${dataset}`);
    expect(codeOf(asked)).toBe('403 forbidden');
    const unknown = await new VersionsApi(server, server.admin).call(
      'POST',
      '/admin/verify?dataset=99999',
    );
    expect(codeOf(unknown)).toBe('404 not-found');
  });

  it.each([
    ['an entry', `UPDATE dataset_version_files SET file_id = NULL WHERE version_id = $1`],
    ['a path', `UPDATE dataset_version_files SET component_name = 'z' WHERE version_id = $1`],
    ['a message', `UPDATE dataset_versions SET message = 'x' WHERE id = $1`],
    ['an author', `UPDATE dataset_versions SET created_by = 1 WHERE id = $1`],
    ['a total', `UPDATE dataset_versions SET total_size = total_size + 1 WHERE id = $1`],
    ['a time', `UPDATE dataset_versions SET committed_at = now() WHERE id = $1`],
    ['a parent', `UPDATE dataset_versions SET parent_version_id = NULL WHERE id = $1`],
  ])('names the version in which %s was altered', async (_, statement) => {
    const dataset = await aHistory();
    const { rows } = await database.query<{ id: number }>(
      'SELECT id FROM dataset_versions WHERE dataset_id = $1 AND version_number = 2',
      [dataset],
    );
    await database.query(statement, [rows[0]?.id]);
    expect(await verify(dataset)).toMatchObject({
      verifiedVersions: 1,
      firstFault: { versionNumber: 2, fault: 'version-altered' },
    });
  });
});

describe('the checks of a dataset', () => {
  const rules = {
    maximumFileBytes: null,
    maximumTotalBytes: null,
    allowedFileTypes: [],
    requiredPaths: [],
    allowedPathPatterns: [],
  };

  async function ruled(more: Partial<Record<keyof typeof rules, unknown>>): Promise<number> {
    const dataset = await api.aDataset();
    const set = await api.call('PUT', `/datasets/${dataset}/checks`, {
      json: { ...rules, ...more },
    });
    expect(set.body).toEqual({ ...rules, ...more });
    return dataset;
  }

  it('refuse a version with every violation, and nothing is changed', async () => {
    const dataset = await ruled({
      maximumFileBytes: 5,
      maximumTotalBytes: 12,
      allowedFileTypes: ['csv', 'md'],
      requiredPaths: ['README.md'],
      allowedPathPatterns: ['*', 'data/**'],
    });
    const refused = await api.commitFiles(dataset, {
      'a.csv': 'far too long',
      'b.exe': 'x',
      'other/c.csv': 'y',
    });
    expect(codeOf(refused)).toBe('422 checks-failed');
    const { violations } = refused.body as unknown as {
      violations: { check: string; path: string }[];
    };
    expect(violations.map(({ check, path }) => [check, path])).toEqual([
      ['maximum-total-size', null],
      ['required-path', 'README.md'],
      ['maximum-size', 'a.csv'],
      ['file-type', 'b.exe'],
      ['path-pattern', 'other/c.csv'],
    ]);
    expect(await api.everything<Version>(`/datasets/${dataset}/versions?limit=9`)).toEqual([]);
    const made = await api.commitFiles(dataset, { 'README.md': 'read', 'data/x/y.csv': 'y' });
    expect(made.body).toMatchObject({ versionNumber: 1 });
    const without = await api.commit(dataset, [{ op: 'remove', path: 'README.md' }]);
    expect(codeOf(without)).toBe('422 checks-failed');
  });

  it('hold for drafts and merges as well', async () => {
    const dataset = await api.aDataset();
    await api.commitFiles(dataset, { 'README.md': 'read' });
    await post(dataset, 'branches', { name: 'work', from: 'main' });
    await api.commit(dataset, [{ op: 'remove', path: 'README.md' }], { branch: 'work' });
    await api.commitFiles(dataset, { more: 'm' });
    await api.call('PUT', `/datasets/${dataset}/checks`, {
      json: { ...rules, requiredPaths: ['README.md'] },
    });
    const merged = await post(dataset, 'merges', { from: 'work', into: 'main' });
    expect(codeOf(merged)).toBe('422 checks-failed');
    const draft = await post<{ id: number }>(dataset, 'drafts', {});
    const at = `drafts/${draft.body.id}`;
    await api.call('DELETE', `/datasets/${dataset}/${at}/files?path=README.md`);
    const committed = await post(dataset, `${at}/commit`, { message: 'm' });
    expect(codeOf(committed)).toBe('422 checks-failed');
    expect(await api.tree(dataset, 'main')).toEqual({ 'README.md': 'read', more: 'm' });
  });

  it('are themselves checked', async () => {
    const dataset = await api.aDataset();
    expect((await api.call('GET', `/datasets/${dataset}/checks`)).body).toEqual(rules);
    for (const wrong of [
      { maximumFileBytes: -1 },
      { requiredPaths: ['../x'] },
      { allowedFileTypes: 'csv' },
      { more: 1 },
    ]) {
      const answer = await api.call('PUT', `/datasets/${dataset}/checks`, {
        json: { ...rules, ...wrong },
      });
      expect(codeOf(answer)).toBe('400 invalid-input');
    }
  });
});
