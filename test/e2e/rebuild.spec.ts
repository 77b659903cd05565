import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { spawn, type ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { Client } from 'pg';
import { startApp, type TestApp } from '../app.js';
import { eventually } from '../builders/eventually.js';
import { VersionsApi, type FileEntry, type Version } from '../builders/versions-api.js';
import { testDatabase, type TestDatabase } from '../database/test-database.js';
import { verifyOutside } from '../server-process.js';

/** All that a server says of its datasets: what has to be the same in a rebuilt one. */
interface Portrait {
  readonly datasets: Record<string, unknown>;
  readonly versions: number;
}

let lost: string;
let portrait: Portrait;
let rich: number;
const opened: string[] = [];

/** Where the storage of the lost server is copied to, for one test to do with what it likes. */
async function aCopy(): Promise<string> {
  const root = await mkdtemp(path.join(tmpdir(), 'varve-rebuild-'));
  opened.push(root);
  for (const folder of ['artifacts', 'records']) {
    await cp(path.join(lost, folder), path.join(root, folder), { recursive: true });
  }
  return root;
}

const keyOf = (sha256: string): string =>
  path.join('artifacts', sha256.slice(0, 2), sha256.slice(2, 4), sha256);

const post = <T = Record<string, unknown>>(api: VersionsApi, at: string, json: unknown) =>
  api.call<T>('POST', at, { json });

/** A dataset with nearly everything that a dataset can have. */
async function aRichDataset(server: TestApp, api: VersionsApi): Promise<number> {
  const made = await post<{ id: number }>(api, '/datasets', {
    name: 'sea ice \u{1f98a} "quoted"',
    description: 'Daily',
    metadata: { licence: 'CC0', nested: { a: [1, 2.5, null] } },
    tags: ['ice', 'é'],
  });
  const id = made.body.id;
  const at = `/datasets/${id}`;
  const must = async (answer: Promise<{ status: number; body: unknown }>) => {
    const { status, body } = await answer;
    if (status >= 300) throw new Error(JSON.stringify(body));
  };
  const many = Object.fromEntries(
    Array.from({ length: 30 }, (_, i) => [`d/${i}.csv`, `a,b\n${i}`]),
  );
  await must(api.commitFiles(id, { ...many, 'README.md': '# ice', clash: 'base' }));
  await must(post(api, `${at}/branches`, { name: 'work/a', from: 'main' }));
  await must(api.commitFiles(id, { clash: 'theirs', 'é \u{1f98a}': 'x' }, { branch: 'work/a' }));
  const fileId = await api.upload('with metadata');
  await must(
    api.commit(
      id,
      [
        { op: 'put', path: 'meta', fileId, metadata: { delimiter: ';', deep: { z: 1, a: [] } } },
        { op: 'move', from: 'd/0.csv', path: 'moved.csv' },
        { op: 'remove', path: 'd/1.csv' },
      ],
      { versionTag: 'v1' },
    ),
  );
  await must(api.commitFiles(id, { clash: 'ours' }));
  await must(
    post(api, `${at}/merges`, { from: 'work/a', into: 'main', defaultResolution: 'theirs' }),
  );
  await must(post(api, `${at}/reverts`, { version: '3', branch: 'main', message: 'back' }));
  const draft = await post<{ id: number }>(api, `${at}/drafts`, { from: 'main' });
  const operations = [{ op: 'put', path: 'from a draft', fileId }];
  await must(post(api, `${at}/drafts/${draft.body.id}/files`, { operations }));
  await must(post(api, `${at}/drafts/${draft.body.id}/commit`, { message: 'a draft' }));
  // A draft that nobody commits, and a branch that is deleted: only the latter is recorded.
  const open = await post<{ id: number }>(api, `${at}/drafts`, { from: 'main' });
  await must(
    post(api, `${at}/drafts/${open.body.id}/files`, {
      operations: [{ op: 'remove', path: 'clash' }],
    }),
  );
  await must(post(api, `${at}/branches`, { name: 'gone', from: 'v1' }));
  await must(api.commitFiles(id, { only: 'on a deleted branch' }, { branch: 'gone' }));
  await must(api.call('DELETE', `${at}/branches/gone`));
  await must(post(api, `${at}/branches`, { name: 'leaf', from: 'main' }));
  await must(api.commitFiles(id, { leaf: 'is deleted' }, { branch: 'leaf' }));
  await must(api.call('PATCH', `${at}/branches/leaf`, { json: { to: 'main' } }));
  await must(api.call('DELETE', `${at}/refs/9`));
  await must(
    api.call('PUT', `${at}/branches/work%2Fa/protection`, { json: { isProtected: true } }),
  );
  const rules = {
    maximumFileBytes: 1000,
    maximumTotalBytes: null,
    allowedFileTypes: [],
    requiredPaths: ['README.md'],
    allowedPathPatterns: [],
  };
  await must(api.call('PUT', `${at}/checks`, { json: rules }));
  const bob = await server.user('bob');
  await must(api.call('PUT', `${at}/permissions/${bob.id}`, { json: { permission: 'write' } }));
  const bobs = new VersionsApi(server, bob);
  await must(bobs.commitFiles(id, { 'by bob': 'b' }));
  return id;
}

/** A dataset of which only the newest versions are kept, and of the others what these still hold. */
async function aCutDataset(api: VersionsApi): Promise<void> {
  const id = await api.aDataset();
  for (let i = 0; i < 8; i++) {
    await api.commitFiles(id, { [`kept ${i}`]: `only in ${i}`, rewritten: `by ${i}` });
  }
  await api.call('PUT', `/datasets/${id}/retention`, { json: { keepLast: 3 } });
  await jobDone(api, post(api, `/datasets/${id}/retention/runs`, {}));
}

/** A dataset two of whose contents were purged; another one still has the first, and it came again. */
async function aPurgedDataset(api: VersionsApi): Promise<void> {
  const [id, other] = [await api.aDataset(), await api.aDataset()];
  const at = `/datasets/${id}`;
  await api.commitFiles(other, { elsewhere: 'purged in one dataset' });
  await api.commitFiles(id, { once: 'purged in one dataset', never: 'purged for good', kept: 'k' });
  await api.commitFiles(id, { kept: 'later' });
  const purge = (text: string) =>
    post<{ id: number }>(api, `${at}/purge`, {
      sha256: createHash('sha256').update(text).digest('hex'),
      reason: 'Personal data',
    });
  await purge('purged for good');
  const { body } = await purge('purged in one dataset');
  await post(api, `${at}/purges/${body.id}/lift`, { reason: 'It was the wrong one' });
  await api.commitFiles(id, { again: 'purged in one dataset' });
}

/** The result of a job once it is done. */
async function jobDone(
  api: VersionsApi,
  asking: Promise<{ body: Record<string, unknown> }>,
): Promise<Record<string, unknown>> {
  const job = (await asking).body;
  return eventually(async () => {
    const { body } = await api.call('GET', `/jobs/${String(job['id'])}`);
    expect(body).toMatchObject({ state: 'completed' });
    return body['result'] as Record<string, unknown>;
  });
}

/** What the proof of a dataset's history against its digests comes to. */
async function chainOf(api: VersionsApi, dataset: number): Promise<unknown> {
  const result = await jobDone(api, api.call('POST', `/admin/verify?dataset=${dataset}`));
  expect(result).toMatchObject({ firstFault: null });
  return result;
}

/** Everything that can be read of every dataset, without what a rebuild is free to number anew. */
async function portraitOf(server: TestApp): Promise<Portrait> {
  const api = new VersionsApi(server, server.admin);
  const plain = <T extends object>(item: T) => {
    const renumbered = ['fileId', 'versionId'];
    return Object.fromEntries(Object.entries(item).filter(([name]) => !renumbered.includes(name)));
  };
  const datasets: Record<string, unknown> = {};
  let count = 0;
  for (const { id } of await api.everything<{ id: number }>('/datasets?limit=50')) {
    const at = `/datasets/${id}`;
    const versions = await api.everything<Version>(`${at}/versions?limit=50`);
    const numbers = new Map(versions.map((version) => [version.id, version.versionNumber]));
    const listings: Record<string, unknown> = {};
    for (const { versionNumber } of versions) {
      const files = `${at}/refs/${versionNumber}/files?limit=7`;
      listings[versionNumber] = (await api.everything<FileEntry>(files)).map(plain);
      count += 1;
    }
    datasets[id] = {
      dataset: (await api.call('GET', at)).body,
      versions: versions.map(({ id: own, parentId, mergeParentId, ...rest }) => ({
        ...rest,
        parents: [parentId, mergeParentId].map((parent) => parent && numbers.get(parent)),
        isKnown: numbers.has(own),
      })),
      listings,
      branches: (await api.everything<object>(`${at}/branches?limit=50`)).map(plain),
      tags: (await api.everything<object>(`${at}/version-tags?limit=50`)).map(plain),
      checks: (await api.call('GET', `${at}/checks`)).body,
      retention: (await api.call('GET', `${at}/retention`)).body,
      grants: (await api.call('GET', `${at}/permissions`)).body,
      purges: (await api.everything<object>(`${at}/purges?limit=50`)).map(plain),
      chain: await chainOf(api, id),
    };
  }
  return { datasets, versions: count };
}

beforeAll(async () => {
  lost = await mkdtemp(path.join(tmpdir(), 'varve-lost-'));
  opened.push(lost);
  const server = await startApp({ DATA_DIR: lost, REMOVAL_GRACE: '0s', GC_GRACE: '0s' });
  const ada = new VersionsApi(server, await server.user('ada'));
  rich = await aRichDataset(server, ada);
  await ada.commitFiles(await ada.aDataset(), { a: 'in another dataset' });
  await ada.aDataset();
  await aCutDataset(ada);
  await aPurgedDataset(ada);
  const admin = new VersionsApi(server, server.admin);
  for (let i = 0; i < 3; i++) await jobDone(admin, post(admin, '/admin/gc', {}));
  portrait = await portraitOf(server);
  await server.close();
});

afterAll(async () => {
  for (const root of opened) await rm(root, { recursive: true, force: true });
});

interface Run {
  readonly process: ChildProcess;
  readonly ended: Promise<{ code: number | null; out: string; err: string }>;
}

/** Runs the script as a process of its own, as an operator does. */
function start(database: TestDatabase, root: string, ...options: string[]): Run {
  const where = ['--database-url', database.url, '--storage-url', pathToFileURL(root).href];
  const script = ['--import', './test/typescript.mjs', 'scripts/rebuild.ts', ...where, ...options];
  const child = spawn(process.execPath, script, { env: { ...process.env, DATA_DIR: root } });
  let [out, err] = ['', ''];
  child.stdout.on('data', (text: Buffer) => (out += text.toString()));
  child.stderr.on('data', (text: Buffer) => (err += text.toString()));
  const ended = new Promise<{ code: number | null; out: string; err: string }>((resolve) => {
    child.on('close', (code) => resolve({ code, out, err }));
  });
  return { process: child, ended };
}

const rebuild = (database: TestDatabase, root: string, ...options: string[]) =>
  start(database, root, ...options).ended;

/** Starts a server on a rebuilt database and holds everything against what was lost. */
async function expectWhole(database: TestDatabase, root: string): Promise<TestApp> {
  const server = await startApp({ DATA_DIR: root }, database);
  const { datasets } = await portraitOf(server);
  expect(datasets).toEqual(portrait.datasets);
  const outside = await verifyOutside('--data-dir', root, '--database-url', database.url);
  expect(outside).toMatchObject({ code: 0 });
  return server;
}

describe('npm run rebuild', () => {
  it('brings every dataset, version, branch and tag back, and work goes on', async () => {
    expect(portrait.versions).toBeGreaterThan(8);
    const root = await aCopy();
    const database = await testDatabase();
    const { code, out, err } = await rebuild(database, root);
    expect([code, err.replace(/^.*: \d+.*\n/gm, '')]).toEqual([0, '']);
    expect(out).toContain(`Brought back ${portrait.versions} versions of 6 datasets, 3 users`);
    expect(out).toMatch(/drafts and uploads/);
    const key = /only this once:\n\n {2}(\S+)/.exec(out)?.[1];
    const keys = await (
      await database.open()
    ).query<{ hash: string }[]>(
      `SELECT k.secret_hash AS hash FROM api_keys k JOIN users u ON u.id = k.user_id
       WHERE u.role = 'admin'`,
    );
    expect(keys).toEqual([{ hash: createHash('sha256').update(key!).digest('hex') }]);
    const again = await rebuild(database, root);
    expect(again).toMatchObject({ code: 2, err: expect.stringMatching(/is not empty/) });

    const server = await expectWhole(database, root);
    const api = new VersionsApi(server, server.admin);
    expect((await api.call('POST', `/datasets/${rich}/branches/gone/restore`)).status).toBe(200);
    expect(await api.text(rich, 'gone', 'only')).toBe('on a deleted branch');
    const next = await api.commitFiles(rich, { clash: 'after the rebuild' });
    expect(next.body.versionNumber).toBe(11);
    expect(await api.aDataset()).toBe(7);
    await server.close();

    const later = await testDatabase();
    expect(await rebuild(later, root, '--no-hash')).toMatchObject({ code: 0 });
    const after = await startApp({ DATA_DIR: root }, later);
    const admin = new VersionsApi(after, after.admin);
    expect(await admin.text(rich, 'main', 'clash')).toBe('after the rebuild');
    await after.close();
  });

  it('goes on where it was killed, at whichever step', async () => {
    const root = await aCopy();
    const database = await testDatabase();
    const client = new Client({ connectionString: database.url });
    await client.connect();
    await client.query(`
      CREATE FUNCTION stall() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN PERFORM pg_advisory_xact_lock(42); RETURN NEW; END $$`);
    for (const [table, event, when] of [
      ['files', 'INSERT', ''],
      ['rebuild_versions', 'UPDATE', 'WHEN (NEW.version_number = 3)'],
      ['dataset_versions', 'INSERT', 'WHEN (NEW.version_number = 4)'],
      ['dataset_pointers', 'INSERT', ''],
      ['record_origin', 'UPDATE', ''],
    ]) {
      await client.query('SELECT pg_advisory_lock(42)');
      await client.query(
        `CREATE TRIGGER stalled BEFORE ${event} ON ${table} FOR EACH ROW ${when}
         EXECUTE FUNCTION stall()`,
      );
      const run = start(database, root);
      await eventually(async () => {
        const { rows } = await client.query(
          `SELECT FROM pg_stat_activity WHERE datname = current_database()
             AND wait_event_type = 'Lock' AND wait_event = 'advisory'`,
        );
        expect(rows.length).toBeGreaterThan(0);
      });
      run.process.kill('SIGKILL');
      await run.ended;
      await client.query(`SELECT pg_advisory_unlock(42)`);
      await client.query(`DROP TRIGGER stalled ON ${table}`);
      await expect(
        startApp({ DATA_DIR: root }, { ...database, drop: async () => {} }),
      ).rejects.toThrow(/rebuild/);
    }
    await client.query('DROP FUNCTION stall');
    await client.end();
    expect(await rebuild(database, root)).toMatchObject({ code: 0 });
    await (await expectWhole(database, root)).close();
  });

  it('believes no document that a user made up', async () => {
    const root = await aCopy();
    const server = (portrait.datasets[rich] as { versions: Version[] }).versions[0]!;
    const real = JSON.parse(
      await readFile(path.join(root, keyOf(server.digest)), 'utf8'),
    ) as object;
    const forged = JSON.stringify({ ...real, number: 99, parents: [server.digest], entries: [] });
    const sha256 = createHash('sha256').update(forged).digest('hex');
    await mkdir(path.dirname(path.join(root, keyOf(sha256))), { recursive: true });
    await writeFile(path.join(root, keyOf(sha256)), forged);
    const database = await testDatabase();
    expect(await rebuild(database, root)).toMatchObject({ code: 0 });
    await (await expectWhole(database, root)).close();
  });

  it('leaves a dataset out that lacks a document, and says which, until it is put back', async () => {
    const root = await aCopy();
    const database = await testDatabase();
    const versions = (portrait.datasets[rich] as { versions: Version[] }).versions;
    const file = path.join(root, keyOf(versions.at(-2)!.digest));
    const whole = await readFile(file);
    await writeFile(file, whole.toString('utf8').replace('"size":', '"sise":'));
    const damaged = await rebuild(database, root);
    expect(damaged).toMatchObject({
      code: 1,
      out: expect.stringContaining(versions.at(-2)!.digest),
    });
    expect(damaged.out).toMatch(/not served yet/);
    await rm(file);
    const missing = await rebuild(database, root, '--no-hash');
    expect(missing).toMatchObject({ code: 1, out: expect.stringMatching(/is not in the storage/) });
    await writeFile(file, whole);
    expect(await rebuild(database, root)).toMatchObject({ code: 0 });
    await (await expectWhole(database, root)).close();
  });

  it('names contents that are lost, comes to an end when told to, and an upload heals them', async () => {
    const root = await aCopy();
    const database = await testDatabase();
    const content = createHash('sha256').update('# ice').digest('hex');
    await rm(path.join(root, keyOf(content)));
    const first = await rebuild(database, root);
    expect(first).toMatchObject({ code: 1, out: expect.stringContaining(content) });
    expect(first.out).not.toContain("Administrator's");
    const accepted = await rebuild(database, root, '--accept-losses');
    expect(accepted).toMatchObject({ code: 1, out: expect.stringContaining("Administrator's") });
    const server = await startApp({ DATA_DIR: root }, database);
    const api = new VersionsApi(server, server.admin);
    const at = `/datasets/${rich}/refs/main/content?path=README.md`;
    expect((await api.call('GET', at)).status).toBe(409);
    await api.upload('# ice');
    expect((await api.call('GET', at)).body).toBe('# ice');
    await server.close();
  });

  it('ends with 2, and a sentence, where it cannot begin', async () => {
    const empty = await mkdtemp(path.join(tmpdir(), 'varve-rebuild-'));
    opened.push(empty);
    const database = await testDatabase();
    expect(await rebuild(database, empty)).toMatchObject({
      code: 2,
      err: expect.stringMatching(/nothing to rebuild from/),
    });
    const root = await aCopy();
    const other = '00000000-0000-4000-8000-000000000000';
    const records = path.join(root, 'records');
    const [origin] = await readdir(records);
    await cp(path.join(records, origin!), path.join(records, other), { recursive: true });
    expect(await rebuild(database, root)).toMatchObject({
      code: 2,
      err: expect.stringMatching(/several databases.*--origin/),
    });
    expect(await rebuild(database, root, '--origin', origin!)).toMatchObject({ code: 0 });
    expect(await rebuild(database, root, '--help')).toMatchObject({ code: 0 });
    expect(await rebuild(database, root, '--nonsense')).toMatchObject({ code: 2 });
    await database.drop();
  });
});
