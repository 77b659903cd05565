import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Client } from 'pg';
import { startApp, type TestApp } from '../app.js';
import { codeOf, VersionsApi, type Version } from '../builders/versions-api.js';

let server: TestApp;
let api: VersionsApi;
let admin: VersionsApi;
let database: Client;

beforeAll(async () => {
  server = await startApp({
    REMOVAL_GRACE: '0s',
    BRANCH_RETENTION: '1h',
    RETENTION_SCHEDULE: '0 0 1 1 *',
    JOB_CONCURRENCY: '4',
  });
  api = new VersionsApi(server, await server.user('ada'));
  admin = new VersionsApi(server, server.admin);
  database = new Client(server.databaseUrl);
  await database.connect();
});

afterAll(async () => {
  await database.end();
  await server.close();
});

const at = (dataset: number, rest = ''): string => `/datasets/${dataset}/retention${rest}`;

const setRules = (dataset: number, rules: unknown) => api.call('PUT', at(dataset), { json: rules });

const runOnce = async (dataset: number, json: unknown = {}) =>
  api.finishedJob(await api.call('POST', at(dataset, '/runs'), { json }));

/** Versions 1 to n on main, each with a file of its own and one that each rewrites. */
async function aLine(length: number): Promise<number> {
  const dataset = await api.aDataset();
  for (let n = 1; n <= length; n++) {
    await api.commitFiles(dataset, { shared: `${dataset}: shared ${n}`, [`own ${n}`]: `${n}` });
  }
  return dataset;
}

const numbers = async (dataset: number): Promise<number[]> =>
  (await api.everything<Version>(`/datasets/${dataset}/versions?limit=100`)).map(
    ({ versionNumber }) => versionNumber,
  );

async function expectNothingWrong(dataset: number): Promise<Record<string, unknown>> {
  const storage = await admin.finishedJob(await admin.call('POST', '/admin/verify', { json: {} }));
  expect(storage).toMatchObject({ ok: true });
  const chain = await admin.finishedJob(
    await admin.call('POST', `/admin/verify?dataset=${dataset}`),
  );
  expect(chain).toMatchObject({ firstFault: null });
  return chain;
}

describe('the rules of a dataset', () => {
  it('are set, read and dropped; without them everything is kept', async () => {
    const dataset = await aLine(2);
    const none = { keepLast: null, keepYoungerThan: null, setBy: null, setAt: null };
    expect((await api.call('GET', at(dataset))).body).toEqual(none);
    expect(codeOf(await api.call('POST', at(dataset, '/runs'), { json: {} }))).toBe(
      '404 not-found',
    );
    const set = await setRules(dataset, { keepLast: 3, keepYoungerThan: '30d' });
    expect(set.body).toMatchObject({ keepLast: 3, keepYoungerThan: '30d', setBy: api.user.id });
    expect((await api.call('GET', at(dataset))).body).toEqual(set.body);
    expect((await api.call('DELETE', at(dataset))).status).toBe(204);
    expect((await api.call('GET', at(dataset))).body).toEqual(none);
    const stranger = new VersionsApi(server, await server.user('eve'));
    expect(codeOf(await stranger.call('PUT', at(dataset), { json: { keepLast: 1 } }))).toBe(
      '404 not-found',
    );
  });

  it.each([{}, { keepLast: 0 }, { keepLast: 1.5 }, { keepLast: 1, keepYoungerThan: '0d' }])(
    'refuse %j',
    async (rules) => {
      expect(codeOf(await setRules(await api.aDataset(), rules))).toBe('400 invalid-input');
    },
  );

  it('can be tried in a dry run, which names versions, paths and bytes and changes nothing', async () => {
    const dataset = await aLine(4);
    const tried = await runOnce(dataset, { dryRun: true, rules: { keepLast: 2 } });
    expect(tried).toMatchObject({
      versionCount: 2,
      versions: [{ versionNumber: 1 }, { versionNumber: 2 }],
      pathCount: 2,
      paths: [
        { versionNumber: 1, path: 'shared' },
        { versionNumber: 2, path: 'shared' },
      ],
    });
    expect(await numbers(dataset)).toEqual([4, 3, 2, 1]);
    const kept = await runOnce(dataset, {
      dryRun: true,
      rules: { keepLast: 1, keepYoungerThan: '1h' },
    });
    expect(kept).toMatchObject({ versionCount: 0, pathCount: 0, bytes: 0 });
    const json = { rules: { keepLast: 2 } };
    expect(codeOf(await api.call('POST', at(dataset, '/runs'), { json }))).toBe(
      '400 invalid-input',
    );
    await setRules(dataset, { keepLast: 2 });
    expect(await runOnce(dataset)).toMatchObject({
      removedVersions: 2,
      swept: { entries: 2, bytes: tried['bytes'] },
    });
  });
});

describe('a history that was cut', () => {
  it('keeps every byte of what is kept, and answers 410 for the rest', async () => {
    const dataset = await aLine(6);
    const before = await Promise.all([2, 5, 6].map((n) => api.tree(dataset, String(n))));
    const tag = { name: 'v2', from: '2' };
    await api.call('POST', `/datasets/${dataset}/version-tags`, { json: tag });
    const third = await api.call<Version>('GET', `/datasets/${dataset}/refs/3`);
    await setRules(dataset, { keepLast: 2 });
    expect(await runOnce(dataset)).toMatchObject({ removedVersions: 3 });

    expect(await numbers(dataset)).toEqual([6, 5, 2]);
    expect(await Promise.all(['v2', '5', 'main'].map((ref) => api.tree(dataset, ref)))).toEqual(
      before,
    );
    for (const ref of ['3', third.body.digest, 'main~3', '1']) {
      const gone = await api.call('GET', `/datasets/${dataset}/refs/${encodeURIComponent(ref)}`);
      expect(codeOf(gone)).toBe('410 version-removed');
      expect(gone.body).toMatchObject({ cause: 'retention' });
    }
    expect(codeOf(await api.call('GET', `/datasets/${dataset}/refs/main~6`))).toBe('404 not-found');
    const log = await api.everything<Version>(`/datasets/${dataset}/versions?ref=main&limit=1`);
    expect(log.map(({ versionNumber }) => versionNumber)).toEqual([6, 5, 2]);
    const ofPath = await api.everything<Version>(
      `/datasets/${dataset}/versions?path=shared&limit=9`,
    );
    expect(ofPath.map(({ versionNumber }) => versionNumber)).toEqual([6, 5, 2]);
    const compared = await api.everything<{ kind: string; path: string }>(
      `/datasets/${dataset}/compare?base=v2&head=main&mode=two-dot&limit=2`,
    );
    expect(compared.map(({ kind, path }) => `${kind} ${path}`)).toEqual([
      'added own 3',
      'added own 4',
      'added own 5',
      'added own 6',
      'changed shared',
    ]);
    const next = await api.commitFiles(dataset, { 'own 7': '7' });
    expect(next.body.versionNumber).toBe(7);
    const chain = await expectNothingWrong(dataset);
    expect(chain).toMatchObject({ verifiedVersions: 7, removedVersions: 3 });
    const { rows } = await database.query<{ data: { versionNumber: number } }>(
      `SELECT data FROM events WHERE type = 'dataset.version.removed' AND subject = $1`,
      [`dataset/${dataset}`],
    );
    expect(rows.map(({ data }) => data.versionNumber).sort()).toEqual([1, 3, 4]);
  });

  it('can be exported and imported again', async () => {
    const dataset = await aLine(5);
    await api.call('POST', `/datasets/${dataset}/version-tags`, {
      json: { name: 'v1', from: '1' },
    });
    await setRules(dataset, { keepLast: 2 });
    await runOnce(dataset);
    const exported = await api.call<string>('GET', `/datasets/${dataset}/export?versions=true`);
    const body = typeof exported.body === 'string' ? exported.body : JSON.stringify(exported.body);
    const imported = await api.call<{ id: number }>('POST', '/datasets/import?name=again', {
      body,
      headers: { 'Content-Type': 'application/json' },
    });
    expect(imported.status).toBe(201);
    const copy = imported.body.id;
    expect(await api.tree(copy, 'main')).toEqual(await api.tree(dataset, 'main'));
    expect(await api.tree(copy, '1')).toEqual(await api.tree(dataset, 'v1'));
  });

  it('breaks no draft, no deleted branch that may be restored, and no merge', async () => {
    const dataset = await aLine(2);
    const draft = await api.call<{ id: number }>('POST', `/datasets/${dataset}/drafts`, {
      json: { from: '1', branch: 'main' },
    });
    await api.call('POST', `/datasets/${dataset}/branches`, { json: { name: 'work', from: '2' } });
    await api.commitFiles(dataset, { 'on work': 'w' }, { branch: 'work' });
    await api.call('POST', `/datasets/${dataset}/branches`, { json: { name: 'old', from: '2' } });
    await api.commitFiles(dataset, { 'on old': 'o' }, { branch: 'old' });
    await api.call('DELETE', `/datasets/${dataset}/branches/old`);
    for (const content of ['x', 'y', 'z']) await api.commitFiles(dataset, { shared: content });
    await setRules(dataset, { keepLast: 1 });
    expect(await runOnce(dataset)).toMatchObject({ removedVersions: 2 });
    // 1 for the draft, 2 as the merge base, 3 and 4 as heads, 7 as main's.
    expect(await numbers(dataset)).toEqual([7, 4, 3, 2, 1]);
    expect(await api.tree(dataset, `draft:${draft.body.id}`)).toHaveProperty('own 1');
    const restored = await api.call('POST', `/datasets/${dataset}/branches/old/restore`);
    expect(restored.status).toBe(200);
    expect(await api.tree(dataset, 'old')).toHaveProperty('on old');
    const merged = await api.call<{ kind: string }>('POST', `/datasets/${dataset}/merges`, {
      json: { from: 'work', into: 'main' },
    });
    expect(merged.body.kind).toBe('merge');
    expect(await api.tree(dataset, 'main')).toMatchObject({ shared: 'z', 'on work': 'w' });
    await expectNothingWrong(dataset);
  });

  it('lets a merge whose base is gone show every difference as a conflict', async () => {
    const dataset = await aLine(1);
    for (const name of ['left', 'right']) {
      await api.call('POST', `/datasets/${dataset}/branches`, { json: { name, from: '1' } });
      await api.commitFiles(dataset, { shared: name }, { branch: name });
      await api.call('POST', `/datasets/${dataset}/version-tags`, {
        json: { name: `tag-${name}`, from: name },
      });
    }
    await api.call('PATCH', `/datasets/${dataset}/branches/main`, { json: { to: 'right' } });
    const left = await api.call<Version>('GET', `/datasets/${dataset}/refs/left`);
    // One of the two is named only afterwards, so that nothing keeps what both come from.
    await database.query(
      `DELETE FROM dataset_pointers WHERE dataset_id = $1 AND pointer_name LIKE '%left'`,
      [dataset],
    );
    await database.query(
      `UPDATE dataset_versions SET committed_at = now() - interval '2 days'
       WHERE dataset_id = $1 AND version_number = 1`,
      [dataset],
    );
    await setRules(dataset, { keepLast: 1, keepYoungerThan: '1d' });
    expect(await runOnce(dataset)).toMatchObject({ removedVersions: 1 });
    await api.call('POST', `/datasets/${dataset}/branches`, {
      json: { name: 'left', from: left.body.digest },
    });
    const merge = { from: 'left', into: 'right' };
    const conflicts = await api.call('POST', `/datasets/${dataset}/merges`, { json: merge });
    expect(codeOf(conflicts)).toBe('409 merge-conflicts');
    expect(conflicts.body).toMatchObject({ conflicts: [{ path: 'shared', base: null }] });
    const threeDot = await api.call('GET', `/datasets/${dataset}/compare?base=left&head=right`);
    expect(codeOf(threeDot)).toBe('410 version-removed');
    const reverted = await api.call('POST', `/datasets/${dataset}/reverts`, {
      json: { version: left.body.digest, branch: 'right' },
    });
    expect(codeOf(reverted)).toBe('410 version-removed');
    const resolved = await api.call('POST', `/datasets/${dataset}/merges`, {
      json: { ...merge, defaultResolution: 'theirs' },
    });
    expect(resolved.status).toBe(200);
    expect(await api.tree(dataset, 'right')).toMatchObject({ shared: 'left', 'own 1': '1' });
  });

  it('is refused to be cut further where something builds on it over tombstones', async () => {
    const dataset = await aLine(4);
    await api.call('POST', `/datasets/${dataset}/version-tags`, {
      json: { name: 'v1', from: '1' },
    });
    await setRules(dataset, { keepLast: 1 });
    await runOnce(dataset);
    await api.call('DELETE', `/datasets/${dataset}/version-tags/v1`);
    const refused = await api.call('DELETE', `/datasets/${dataset}/refs/1`);
    expect(codeOf(refused)).toBe('409 version-needed');
    expect(refused.body).toMatchObject({ children: [4] });
    expect(await runOnce(dataset)).toMatchObject({ removedVersions: 1 });
    expect(codeOf(await api.call('DELETE', `/datasets/${dataset}/refs/1`))).toBe(
      '410 version-removed',
    );
    expect(Object.keys(await api.tree(dataset, 'main'))).toHaveLength(5);
    await expectNothingWrong(dataset);
  });
});

describe('retention under way', () => {
  it('agrees with whoever commits, branches, tags, drafts and retains at the same moment', async () => {
    const dataset = await aLine(8);
    await setRules(dataset, { keepLast: 1 });
    const kept = new Map<string, Record<string, string>>();
    const expected = new Map<number, Record<string, string>>();
    for (let n = 1; n <= 8; n++) expected.set(n, await api.tree(dataset, String(n)));
    const point = async (n: number, what: 'branches' | 'version-tags'): Promise<void> => {
      const name = `${what}-${n}`;
      const made = await api.call('POST', `/datasets/${dataset}/${what}`, {
        json: { name, from: String(n) },
      });
      // Whoever comes first decides; nobody is told 2xx of what is gone.
      expect([201, 410]).toContain(made.status);
      if (made.status === 201) kept.set(name, expected.get(n)!);
    };
    const draft = async (n: number): Promise<void> => {
      const opened = await api.call<{ id: number }>('POST', `/datasets/${dataset}/drafts`, {
        json: { from: String(n), branch: 'main' },
      });
      expect([201, 410]).toContain(opened.status);
      if (opened.status === 201) kept.set(`draft:${opened.body.id}`, expected.get(n)!);
    };
    await Promise.all([
      runOnce(dataset),
      draft(2),
      point(3, 'branches'),
      point(4, 'version-tags'),
      runOnce(dataset),
      api.commitFiles(dataset, { late: 'l' }),
      point(5, 'branches'),
      draft(6),
      runOnce(dataset),
    ]);
    await runOnce(dataset);
    for (const [ref, tree] of kept) expect(await api.tree(dataset, ref)).toEqual(tree);
    expect(await api.tree(dataset, 'main')).toEqual({ ...expected.get(8), late: 'l' });
    await expectNothingWrong(dataset);
  });
});

// The last: it leaves references as no recount finds them.
describe('tampering with a history that was cut', () => {
  const cut = async (): Promise<number> => {
    const dataset = await aLine(5);
    await setRules(dataset, { keepLast: 2 });
    await runOnce(dataset);
    return dataset;
  };
  const first = (dataset: number) =>
    `(SELECT id FROM dataset_versions WHERE dataset_id = ${dataset} AND version_number = 1)`;

  it.each([
    [
      'a tombstone',
      1,
      'removal-unrecorded',
      (d: number) => `UPDATE dataset_versions SET digest = repeat('0', 64) WHERE id = ${first(d)}`,
    ],
    [
      'what is left of a removed version',
      1,
      'version-altered',
      (d: number) =>
        `UPDATE dataset_version_files SET component_name = 'other' WHERE version_id = ${first(d)}`,
    ],
    [
      'a row that a kept version reads',
      4,
      'contents-altered',
      (d: number) => `DELETE FROM dataset_version_files WHERE version_id = ${first(d)}`,
    ],
    [
      'a version that was made out to be removed',
      5,
      'removal-unrecorded',
      (d: number) =>
        `UPDATE dataset_versions SET status = 'removed', removed_at = now(), removal_id =
         (SELECT max(id) FROM dataset_removals WHERE dataset_id = ${d})
       WHERE dataset_id = ${d} AND version_number = 5`,
    ],
    [
      'a number without a version',
      3,
      'version-missing',
      (d: number) =>
        `UPDATE dataset_versions SET version_number = 99 WHERE dataset_id = ${d}
         AND version_number = 3`,
    ],
  ])('%s is found', async (_, versionNumber, fault, statement) => {
    const dataset = await cut();
    await database.query(statement(dataset));
    const chain = await admin.finishedJob(
      await admin.call('POST', `/admin/verify?dataset=${dataset}`),
    );
    expect(chain).toMatchObject({ firstFault: { versionNumber, fault } });
  });
});
