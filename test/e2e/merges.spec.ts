import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startApp, type TestApp } from '../app.js';
import { codeOf, VersionsApi, type Version } from '../builders/versions-api.js';

interface Difference {
  kind: string;
  path: string;
  from: string | null;
  before: { sha256: string; sizeBytes: number } | null;
  after: { sha256: string; sizeBytes: number } | null;
}

let server: TestApp;
let api: VersionsApi;
let theirApi: VersionsApi;

beforeAll(async () => {
  server = await startApp();
  api = new VersionsApi(server, await server.user('ada'));
  theirApi = new VersionsApi(server, await server.user('bob'));
});

afterAll(async () => {
  await server.close();
});

const post = <T = Record<string, unknown>>(dataset: number, what: string, json: unknown) =>
  api.call<T>('POST', `/datasets/${dataset}/${what}`, { json });

/** A dataset in which `main` and `work` have gone apart; `clash` is changed on both sides. */
async function apart(): Promise<number> {
  const dataset = await api.aDataset();
  await api.commitFiles(dataset, { clash: 'base', moved: 'm', same: 's', gone: 'g' });
  await post(dataset, 'branches', { name: 'work', from: 'main' });
  await api.commit(
    dataset,
    [
      { op: 'put', path: 'clash', fileId: await api.upload('theirs') },
      { op: 'move', from: 'moved', path: 'there' },
      { op: 'remove', path: 'gone' },
    ],
    { branch: 'work' },
  );
  await api.commitFiles(dataset, { clash: 'ours', more: 'x' });
  return dataset;
}

describe('comparing', () => {
  it('tells what was added, removed, changed and moved, page by page', async () => {
    const dataset = await apart();
    const compare = (query: string) =>
      api.everything<Difference>(`/datasets/${dataset}/compare?limit=1&${query}`);
    const threeDot = await compare('base=main&head=work');
    expect(threeDot.map(({ kind, path, from }) => [kind, path, from])).toEqual([
      ['changed', 'clash', null],
      ['removed', 'gone', null],
      ['moved', 'there', 'moved'],
    ]);
    expect(threeDot[0]).toMatchObject({ before: { sizeBytes: 4 }, after: { sizeBytes: 6 } });
    expect(threeDot[1]?.after).toBeNull();
    const twoDot = await compare('base=main&head=work&mode=two-dot');
    expect(twoDot.map(({ kind, path }) => [kind, path])).toEqual([
      ['changed', 'clash'],
      ['removed', 'gone'],
      ['removed', 'more'],
      ['moved', 'there'],
    ]);
    expect(await compare('base=1&head=main~1')).toEqual([]);
    for (const query of [
      'base=main',
      'base=main&head=work&mode=x',
      'base=main&head=work&cursor=x',
      `base=main&head=work&cursor=${Buffer.from('[1,2,"a\\u0000"]').toString('base64url')}`,
    ]) {
      const answer = await api.call('GET', `/datasets/${dataset}/compare?${query}`);
      expect(codeOf(answer)).toBe('400 invalid-input');
    }
  });
});

describe('merging over HTTP', () => {
  it('names every conflict, previews, and merges as the caller decides', async () => {
    const dataset = await apart();
    const merge = (more: Record<string, unknown> = {}) =>
      post<{ kind: string; version: Version; changedPaths: number; conflicts: unknown[] }>(
        dataset,
        'merges',
        { from: 'work', into: 'main', ...more },
      );
    const refused = await merge();
    expect(codeOf(refused)).toBe('409 merge-conflicts');
    expect(refused.body).toMatchObject({ conflicts: [{ path: 'clash' }] });
    const preview = await merge({ dryRun: true });
    expect(preview.body).toMatchObject({
      kind: 'merge',
      changedPaths: 3,
      conflicts: [{ path: 'clash' }],
    });
    expect(await api.tree(dataset, 'main')).toMatchObject({ clash: 'ours', moved: 'm' });

    const secret = await theirApi.upload('not mine');
    const stolen = await merge({ resolutions: [{ path: 'clash', fileId: secret }] });
    expect(codeOf(stolen)).toBe('422 file-missing');
    const both = await merge({ resolutions: [{ path: 'clash', take: 'ours', fileId: secret }] });
    expect(codeOf(both)).toBe('400 invalid-input');

    const fileId = await api.upload('decided');
    const done = await merge({ resolutions: [{ path: 'clash', fileId }] });
    expect(done.body).toMatchObject({ kind: 'merge', version: { versionNumber: 4 } });
    expect(await api.tree(dataset, 'main')).toEqual({
      clash: 'decided',
      more: 'x',
      same: 's',
      there: 'm',
    });
    const history = await api.everything<Version>(`/datasets/${dataset}/versions?limit=2&ref=main`);
    expect(history.map(({ versionNumber }) => versionNumber)).toEqual([4, 3, 2, 1]);
    expect((await merge()).body).toMatchObject({ kind: 'up-to-date' });
    const forward = await post(dataset, 'merges', { from: 'main', into: 'work' });
    expect(forward.body).toMatchObject({ kind: 'fast-forward', version: { versionNumber: 4 } });
  });

  it('moves a protected branch, which nothing else does', async () => {
    const dataset = await apart();
    await api.call('PUT', `/datasets/${dataset}/branches/main/protection`, {
      json: { isProtected: true },
    });
    expect(codeOf(await api.commitFiles(dataset, { a: 'a' }))).toBe('409 branch-protected');
    const merged = await post(dataset, 'merges', {
      from: 'work',
      into: 'main',
      defaultResolution: 'theirs',
    });
    expect(merged.body).toMatchObject({ kind: 'merge' });
    expect(await api.text(dataset, 'main', 'clash')).toBe('theirs');
    const into = await post(dataset, 'merges', { from: 'main', into: 'nowhere' });
    expect(codeOf(into)).toBe('404 not-found');
  });

  it('reverts and picks a version', async () => {
    const dataset = await apart();
    const picked = await post<Version>(dataset, 'cherry-picks', {
      version: 'work',
      branch: 'main',
      defaultResolution: 'ours',
    });
    expect(picked.status).toBe(201);
    expect(await api.tree(dataset, 'main')).toEqual({
      clash: 'ours',
      more: 'x',
      same: 's',
      there: 'm',
    });
    const reverted = await post<Version>(dataset, 'reverts', {
      version: String(picked.body.versionNumber),
      branch: 'main',
    });
    expect(reverted.body.message).toBe(`Revert ${picked.body.versionNumber}`);
    expect(await api.tree(dataset, 'main')).toEqual({
      clash: 'ours',
      gone: 'g',
      more: 'x',
      moved: 'm',
      same: 's',
    });
    const again = await post(dataset, 'reverts', { version: '3', branch: 'work' });
    expect(codeOf(again)).toBe('409 merge-conflicts');
  });
});
