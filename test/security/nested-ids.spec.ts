import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { DataSource } from 'typeorm';
import { startApp, type TestApp, type TestUser } from '../app.js';
import { VersionsApi, type Version } from '../builders/versions-api.js';
import { fill, operationsOf, send, type Operation } from './operations.js';

/** What ids stand for in routes, queries and bodies. */
type Ids = Record<string, string | number>;

const UNKNOWN: Ids = {
  datasetId: 2_000_000_001,
  fileId: 2_000_000_002,
  draftId: 2_000_000_003,
  purgeId: 2_000_000_004,
  keyId: 2_000_000_005,
  webhookId: 2_000_000_006,
  groupId: 2_000_000_007,
  delivery: 2_000_000_008,
  jobId: randomUUID(),
  sha256: 'a'.repeat(64),
  digest: 'b'.repeat(64),
  branch: 'no-such-branch',
  tag: 'no-such-tag',
};

/** Bodies that are whole, so that what is judged is whom an id belongs to. */
const BODIES: Record<string, (ids: Ids) => unknown> = {
  rotateApiKey: () => ({}),
  changeWebhook: () => ({ description: 'theirs' }),
  checkFiles: ({ sha256 }) => ({ sha256: [sha256] }),
  commitVersion: ({ fileId }) => ({
    message: 'theirs',
    operations: [{ op: 'put', path: 'x', fileId }],
  }),
  addFilesToVersion: ({ fileId }) => ({ operations: [{ op: 'put', path: 'x', fileId }] }),
  createBranch: ({ digest }) => ({ name: 'theirs', from: digest }),
  changeBranch: ({ digest }) => ({ to: digest }),
  protectBranch: () => ({ isProtected: true }),
  createVersionTag: ({ digest }) => ({ name: 'theirs', from: digest }),
  openDraft: ({ digest }) => ({ from: digest, branch: 'main' }),
  changeDraftFiles: ({ fileId }) => ({ operations: [{ op: 'put', path: 'x', fileId }] }),
  commitDraft: () => ({ message: 'theirs' }),
  mergeVersions: ({ digest }) => ({ from: digest, into: 'main', message: 'theirs' }),
  revertVersion: ({ digest }) => ({ version: digest, branch: 'main' }),
  cherryPickVersion: ({ digest }) => ({ version: digest, branch: 'main' }),
  purgeContent: ({ sha256 }) => ({ sha256, reason: 'theirs' }),
  liftPurge: () => ({ reason: 'theirs' }),
  queryTables: () => ({ sql: 'SELECT 1' }),
  createSample: ({ digest }) => ({
    ref: digest,
    paths: ['a.csv'],
    method: { kind: 'first', rows: 1 },
  }),
  createAnalysis: ({ digest }) => ({ kind: 'profile', ref: digest, path: 'a.csv' }),
  setChecks: () => ({
    maximumFileBytes: null,
    maximumTotalBytes: null,
    allowedFileTypes: [],
    requiredPaths: [],
    allowedPathPatterns: [],
  }),
  setRetention: () => ({ keepLast: 1 }),
  runRetention: () => ({ dryRun: true }),
  setSchemaRules: () => ({ rules: [] }),
  changeDataset: () => ({ description: 'theirs' }),
  grantDatasetToUser: () => ({ permission: 'read' }),
  grantDatasetToGroup: () => ({ permission: 'read' }),
  grantFileToUser: () => ({ permission: 'read' }),
  grantFileToGroup: () => ({ permission: 'read' }),
  shareDatasetWithEveryone: () => ({ permission: 'read' }),
};

/** What these take besides ids. */
const QUERY: Record<string, (ids: Ids) => string> = {
  compareVersions: ({ digest }) => `?base=${digest}&head=${digest}`,
  compareTableSchemas: ({ digest }) => `?base=${digest}&head=${digest}&path=a.csv`,
  compareTableRows: ({ digest }) => `?base=${digest}&head=${digest}&path=a.csv&key=id`,
  getDatasetByName: () => '?name=private&owner=ada',
  suggest: () => '?q=priv',
};
const WITH_PATH = new Set([
  'removeFilesFromVersion',
  'headVersionContent',
  'getVersionContent',
  'removeDraftFiles',
  'getTableSchema',
  'listTableRows',
  'getTableProfile',
]);

describe('what one user has', () => {
  let app: TestApp;
  let operations: Operation[];
  let ada: TestUser;
  let bob: TestUser;
  let reader: TestUser;
  /** Everything of Ada's that has an id. */
  let theirs: Ids;
  /** A dataset of Bob's own. */
  let own: number;

  beforeAll(async () => {
    app = await startApp({ WEBHOOK_ALLOWED_HOSTS: '127.0.0.1' });
    operations = await operationsOf(app);
    [ada, bob, reader] = [await app.user('ada'), await app.user('bob'), await app.user('reader')];
    theirs = await everythingOf(ada);
    const bobs = new VersionsApi(app, bob);
    own = await bobs.aDataset();
    await bobs.commitFiles(own, { 'a.csv': 'id\n1\n' });
    const granted = await ada.api.PUT('/api/v1/datasets/{datasetId}/permissions/{userId}', {
      params: { path: { datasetId: Number(theirs['datasetId']), userId: reader.id } },
      body: { permission: 'read' },
    });
    expect(granted.response.status).toBeLessThan(300);
  });
  afterAll(() => app.close());

  async function everythingOf(user: TestUser): Promise<Ids> {
    const api = new VersionsApi(app, user);
    const made = await api.call<{ id: number }>('POST', '/datasets', { json: { name: 'private' } });
    const datasetId = made.body.id;
    const at = `/datasets/${datasetId}`;
    const doomed = 'to be purged';
    await api.commitFiles(datasetId, { 'doomed.txt': doomed });
    const { body: entries } = await api.call<{ items: { sha256: string }[] }>(
      'GET',
      `${at}/refs/main/files`,
    );
    const purge = await api.call<{ id: number }>('POST', `${at}/purge`, {
      json: { sha256: entries.items[0]!.sha256, reason: 'a test' },
    });
    const version = (await api.commitFiles(datasetId, { 'a.csv': 'id\n1\n2\n' }))
      .body as Version & {
      digest: string;
    };
    const fileId = await api.upload('held by its uploader alone');
    const file = await api.call<{ sha256: string }>('GET', `/files/${fileId}`);
    await api.call('POST', `${at}/branches`, { json: { name: 'hidden', from: 'main' } });
    await api.call('POST', `${at}/version-tags`, { json: { name: 'v1', from: 'main' } });
    const draft = await api.call<{ id: number }>('POST', `${at}/drafts`, { json: {} });
    const job = await api.call<{ id: string }>('POST', `${at}/samples`, {
      json: { ref: 'main', paths: ['a.csv'], method: { kind: 'first', rows: 1 } },
    });
    const hook = await api.call<{ id: number }>('POST', '/webhooks', {
      json: { url: 'http://127.0.0.1:9/', types: ['dataset.*'] },
    });
    const [delivery] = await app.app.get(DataSource).query<{ id: string }[]>(
      `INSERT INTO webhook_deliveries (webhook_id, event_id, event, state, attempts, due_at, ended_at)
       VALUES ($1, gen_random_uuid(), '{}', 'failed', 1, now(), now()) RETURNING id`,
      [hook.body.id],
    );
    const key = await api.call<{ id: number }>('POST', '/api-keys', { json: { name: 'k' } });
    const group = await app.admin.api.POST('/api/v1/groups', { body: { name: 'g' } });
    const ids = {
      datasetId,
      fileId,
      draftId: draft.body.id,
      purgeId: purge.body.id,
      keyId: key.body.id,
      webhookId: hook.body.id,
      delivery: delivery!.id,
      groupId: group.data!.id,
      jobId: job.body.id,
      sha256: file.body.sha256,
      digest: version.digest,
      branch: 'hidden',
      tag: 'v1',
    };
    expect(Object.entries(ids).filter(([, id]) => !id)).toEqual([]);
    return ids;
  }

  /** Asks for a thing by its ids, in the route, the query and the body. */
  const ask = async (user: TestUser, operation: Operation, ids: Ids) => {
    const { id, method, route } = operation;
    const values = { ...ids, ref: ids['digest']!, userId: reader.id };
    const query = QUERY[id]?.(ids) ?? (WITH_PATH.has(id) ? '?path=a.csv' : '');
    const path = `${fill(route, values)}${query}`;
    const { status, body } = await send(app, user.token, method, path, BODIES[id]?.(ids));
    // Whatever of the ids the answer repeats is what was asked for.
    const asked = new RegExp(`\\b(${Object.values(ids).join('|')})\\b`, 'g');
    const told = body.replace(/"queryTimeMs":[\d.]+/, '"queryTimeMs":0').replace(asked, '<id>');
    return { id, status, body: told };
  };

  /** Those that take an id, wherever it stands. */
  const taking = () =>
    operations.filter(
      ({ id, route, access }) =>
        access?.kind !== 'admin' &&
        access?.kind !== 'public' &&
        (route.includes('{') || id in BODIES || id in QUERY),
    );

  it('is for a stranger as if it were not there, whichever way it is asked for', async () => {
    expect(taking().length).toBeGreaterThan(70);
    for (const operation of taking()) {
      const there = await ask(bob, operation, theirs);
      const nowhere = await ask(bob, operation, UNKNOWN);
      expect(there).toEqual(nowhere);
      if (operation.access?.kind === 'dataset' || operation.access?.kind === 'file') {
        expect(there).toMatchObject({ id: operation.id, status: 404 });
      }
    }
  });

  it('cannot be reached through a dataset of the stranger’s own', async () => {
    const nested = taking().filter(
      ({ route, access, id }) =>
        access?.kind === 'dataset' &&
        (/\{(?!datasetId)/.test(route) || id in BODIES || id in QUERY) &&
        // They name nothing but the dataset, or users and groups, whom everybody may name.
        !/^(grant|withdraw|share|change(Dataset|Branch)$|set|run|protect|addDatasetTag|removeDatasetTag|purge)/.test(
          id,
        ),
    );
    expect(nested.length).toBeGreaterThan(25);
    for (const operation of nested) {
      const through = (ids: Ids) => ask(bob, operation, { ...ids, datasetId: own });
      const there = await through(theirs);
      const nowhere = await through(UNKNOWN);
      expect(there).toEqual(nowhere);
      expect([there.id, there.status]).toEqual([there.id, expect.any(Number)]);
      expect([there.id, there.status >= 400 && there.status < 500]).toEqual([there.id, true]);
    }
    // Nothing has come of all that.
    const owns = new VersionsApi(app, bob);
    expect(Object.keys(await owns.tree(own, 'main'))).toEqual(['a.csv']);
  });

  it('can be read by whoever was let read it, and no more than that', async () => {
    for (const operation of operations) {
      const { access, id } = operation;
      if (access?.kind !== 'dataset') continue;
      const { status, body } = await ask(reader, operation, theirs);
      if (access.permission === 'read') {
        expect({ id, status, refused: status === 403 }).toEqual({ id, status, refused: false });
      } else expect({ id, status, body }).toMatchObject({ id, status: 403 });
    }
  });

  it('is all there afterwards', async () => {
    const api = new VersionsApi(app, ada);
    const at = `/datasets/${theirs['datasetId']}`;
    for (const path of [
      at,
      `${at}/drafts/${theirs['draftId']}`,
      `${at}/branches/hidden`,
      `${at}/refs/v1`,
      `/files/${theirs['fileId']}`,
      `/jobs/${theirs['jobId']}`,
      `/webhooks/${theirs['webhookId']}`,
    ]) {
      expect([path, (await api.call('GET', path)).status]).toEqual([path, 200]);
    }
    const { body } = await api.call<{ items: object[] }>('GET', '/api-keys');
    expect(body.items).toEqual(
      expect.arrayContaining([expect.objectContaining({ id: theirs['keyId'], revokedAt: null })]),
    );
    expect(await api.tree(Number(theirs['datasetId']), 'main')).toMatchObject({
      'a.csv': 'id\n1\n2\n',
    });
  });
});
