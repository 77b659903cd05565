import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startApp, type TestApp } from '../app.js';
import { codeOf, VersionsApi } from '../builders/versions-api.js';
import type { components } from '../client/schema.js';

type Branch = components['schemas']['BranchView'];
type Tag = components['schemas']['TagView'];

let server: TestApp;
let api: VersionsApi;

beforeAll(async () => {
  server = await startApp();
  api = new VersionsApi(server, await server.user('ada'));
});

afterAll(async () => {
  await server.close();
});

const branchAt = (dataset: number, name: string) =>
  `/datasets/${dataset}/branches/${encodeURIComponent(name)}`;

async function aHistory(): Promise<{ dataset: number; digests: string[] }> {
  const dataset = await api.aDataset();
  const digests: string[] = [];
  for (let i = 1; i <= 3; i++) {
    digests.push((await api.commitFiles(dataset, { a: `${i}` })).body.digest);
  }
  return { dataset, digests };
}

const branchFrom = (dataset: number, name: string, from: string) =>
  api.call<Branch>('POST', `/datasets/${dataset}/branches`, { json: { name, from } });

describe('branches', () => {
  it('are made from any ref, each goes its own way, and none changes another', async () => {
    const { dataset, digests } = await aHistory();
    for (const [name, from, number] of [
      ['feature', 'main', 3],
      ['feature/a', '1', 1],
      ['from-digest', digests[1]!, 2],
      ['back', 'main~2', 1],
    ] as const) {
      const made = await branchFrom(dataset, name, from);
      expect([made.status, made.body.versionNumber]).toEqual([201, number]);
      expect(made.headers.get('etag')).toBe(`"${made.body.digest}"`);
    }
    const other = await api.commitFiles(dataset, { b: 'other' }, { branch: 'feature/a' });
    expect(other.body.versionNumber).toBe(4);
    await api.commitFiles(dataset, { c: 'main' });
    expect(await api.tree(dataset, 'feature/a')).toEqual({ a: '1', b: 'other' });
    expect(await api.tree(dataset, 'main')).toEqual({ a: '3', c: 'main' });
    expect(await api.tree(dataset, 'feature')).toEqual({ a: '3' });
    const names = await api.everything<Branch>(`/datasets/${dataset}/branches?limit=2`);
    expect(names.map(({ name }) => name)).toEqual([
      'back',
      'feature',
      'feature/a',
      'from-digest',
      'main',
    ]);
    expect(codeOf(await branchFrom(dataset, 'feature', 'main'))).toBe('409 pointer-exists');
    expect(codeOf(await branchFrom(dataset, 'x', 'nowhere'))).toBe('404 not-found');
    for (const name of ['12', 'ab'.repeat(32), 'a..b', 'draft:1', 'a~1']) {
      expect(codeOf(await branchFrom(dataset, name, 'main'))).toBe('400 invalid-input');
    }
  });

  it('move by compare-and-set', async () => {
    const { dataset, digests } = await aHistory();
    await branchFrom(dataset, 'work', 'main');
    const move = (to: string, etag?: string) =>
      api.call<Branch>('PATCH', branchAt(dataset, 'work'), {
        json: { to },
        headers: etag === undefined ? {} : { 'If-Match': `"${etag}"` },
      });
    expect(codeOf(await move('1', digests[0]))).toBe('412 ref-moved');
    expect((await move('1', digests[2])).body.versionNumber).toBe(1);
    expect(codeOf(await move('2', digests[2]))).toBe('412 ref-moved');
    expect((await move('2')).body.digest).toBe(digests[1]);
    const racing = await Promise.all(Array.from({ length: 8 }, () => move('3', digests[1])));
    expect(racing.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(codeOf(await api.call('PATCH', branchAt(dataset, 'work'), { json: {} }))).toBe(
      '400 invalid-input',
    );
  });

  it('are renamed, deleted and restored to where they were', async () => {
    const { dataset, digests } = await aHistory();
    await branchFrom(dataset, 'old/name', '2');
    const renamed = await api.call<Branch>('PATCH', branchAt(dataset, 'old/name'), {
      json: { name: 'new/name' },
    });
    expect(renamed.body).toMatchObject({ name: 'new/name', digest: digests[1] });
    expect(codeOf(await api.call('GET', branchAt(dataset, 'old/name')))).toBe('404 not-found');
    const taken = await api.call('PATCH', branchAt(dataset, 'new/name'), {
      json: { name: 'main' },
    });
    expect(codeOf(taken)).toBe('409 pointer-exists');
    expect((await api.call('DELETE', branchAt(dataset, 'new/name'))).status).toBe(204);
    expect(codeOf(await api.call('GET', branchAt(dataset, 'new/name')))).toBe('404 not-found');
    const restored = await api.call<Branch>('POST', `${branchAt(dataset, 'new/name')}/restore`);
    expect(restored.body).toMatchObject({ name: 'new/name', digest: digests[1] });
    expect(codeOf(await api.call('POST', `${branchAt(dataset, 'new/name')}/restore`))).toBe(
      '404 not-found',
    );
    for (const [method, json] of [
      ['DELETE', undefined],
      ['PATCH', { name: 'trunk' }],
    ] as const) {
      const refused = await api.call(method, branchAt(dataset, 'main'), json ? { json } : {});
      expect(codeOf(refused)).toBe('409 default-branch');
    }
  });

  it('that are protected are moved by nothing but merges', async () => {
    const { dataset } = await aHistory();
    await branchFrom(dataset, 'release', 'main');
    const protect = (isProtected: boolean) =>
      api.call<Branch>('PUT', `${branchAt(dataset, 'release')}/protection`, {
        json: { isProtected },
      });
    expect((await protect(true)).body.isProtected).toBe(true);
    expect(codeOf(await api.commitFiles(dataset, { x: 'x' }, { branch: 'release' }))).toBe(
      '409 branch-protected',
    );
    expect(
      codeOf(await api.call('PATCH', branchAt(dataset, 'release'), { json: { to: '1' } })),
    ).toBe('409 branch-protected');
    expect(codeOf(await api.call('DELETE', branchAt(dataset, 'release')))).toBe(
      '409 branch-protected',
    );
    await protect(false);
    expect((await api.commitFiles(dataset, { x: 'x' }, { branch: 'release' })).status).toBe(201);
  });
});

describe('version tags', () => {
  it('stay where they are, and are made with a commit or later', async () => {
    const { dataset, digests } = await aHistory();
    const made = await api.call<Tag>('POST', `/datasets/${dataset}/version-tags`, {
      json: { name: 'v1', from: 'main~2' },
    });
    expect(made.body).toMatchObject({ name: 'v1', digest: digests[0], versionNumber: 1 });
    await api.commitFiles(dataset, { a: '4' }, { versionTag: 'v4' });
    await api.commitFiles(dataset, { a: '5' });
    expect(await api.text(dataset, 'v4', 'a')).toBe('4');
    const tags = await api.everything<Tag>(`/datasets/${dataset}/version-tags?limit=1`);
    expect(tags.map(({ name, versionNumber }) => [name, versionNumber])).toEqual([
      ['v1', 1],
      ['v4', 4],
    ]);
    for (const [method, at] of [
      ['PATCH', branchAt(dataset, 'v1')],
      ['DELETE', branchAt(dataset, 'v1')],
      ['DELETE', `/datasets/${dataset}/version-tags/main`],
    ] as const) {
      const json = method === 'PATCH' ? { json: { to: 'main' } } : {};
      expect(codeOf(await api.call(method, at, json))).toBe('404 not-found');
    }
    expect((await api.call('DELETE', `/datasets/${dataset}/version-tags/v1`)).status).toBe(204);
    expect(codeOf(await api.call('GET', `/datasets/${dataset}/refs/v1`))).toBe('404 not-found');
  });
});
