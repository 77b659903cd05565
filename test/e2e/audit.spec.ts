import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { startApp, type TestApp, type TestUser } from '../app.js';
import { eventually } from '../builders/eventually.js';

describe('the audit', () => {
  let app: TestApp;
  let ada: TestUser;

  beforeAll(async () => {
    app = await startApp();
    ada = await app.user('ada');
  });
  afterAll(() => app.close());

  interface Filter {
    actorId?: number;
    datasetId?: number;
    requestId?: string;
    resourceType?: string;
    resourceId?: string;
    action?: string;
    outcome?: 'done' | 'refused';
    since?: string;
    until?: string;
    limit?: number;
    cursor?: string;
  }
  const entries = async (query: Filter) => {
    const { data, error } = await app.admin.api.GET('/api/v1/audit', { params: { query } });
    if (!data) throw new Error(JSON.stringify(error));
    return data.items;
  };
  const dataset = async (who = ada): Promise<number> =>
    (await who.api.POST('/api/v1/datasets', { body: { name: randomUUID() } })).data!.id;
  const upload = (token: string, text: string, requestId: string) =>
    fetch(`${app.url}/api/v1/files?name=a.txt`, {
      method: 'POST',
      headers: {
        Authorization: `Bearer ${token}`,
        'Content-Type': 'text/plain',
        'X-Request-Id': requestId,
      },
      body: text,
    });

  it('tells who changed what, from where, through what, and what it was before', async () => {
    const datasetId = await dataset();
    const requestId = randomUUID();
    await ada.api.PATCH('/api/v1/datasets/{datasetId}', {
      params: { path: { datasetId } },
      body: { description: 'cold' },
      headers: { 'X-Request-Id': requestId },
    });
    const [change, ...others] = await entries({ requestId });
    expect(others).toEqual([]);
    expect(change).toMatchObject({
      actorId: ada.id,
      actorName: 'ada',
      keyId: expect.any(Number) as unknown,
      requestId,
      address: '127.0.0.1',
      operation: 'changeDataset',
      outcome: 'done',
      action: 'dataset.changed',
      resourceType: 'dataset',
      resourceId: String(datasetId),
      datasetId,
      before: { description: '' },
      after: { description: 'cold' },
    });
  });

  it('leaves nothing of what was rolled back', async () => {
    const datasetId = await dataset();
    const requestId = randomUUID();
    const refused = await ada.api.POST('/api/v1/datasets/{datasetId}/versions', {
      params: { path: { datasetId } },
      body: { message: 'm', operations: [{ op: 'remove', path: 'none' }] },
      headers: { 'X-Request-Id': requestId },
    });
    expect(refused.response.status).toBeGreaterThanOrEqual(400);
    expect(await entries({ requestId, outcome: 'done' })).toEqual([]);
  });

  it('names whoever brought each upload, however many share a transaction', async () => {
    const bob = await app.user('bob');
    const sent = Array.from({ length: 24 }, (_, index) => ({
      who: index % 2 === 0 ? ada : bob,
      requestId: randomUUID(),
    }));
    await Promise.all(sent.map(({ who, requestId }) => upload(who.token, requestId, requestId)));
    for (const { who, requestId } of sent) {
      expect(await entries({ requestId })).toMatchObject([
        { actorId: who.id, action: 'file.uploaded', operation: 'uploadFile' },
      ]);
    }
  });

  it('tells of commits, branches, tags, grants, keys and users', async () => {
    const datasetId = await dataset();
    const file = (await (await upload(ada.token, randomUUID(), randomUUID())).json()) as {
      id: number;
    };
    await ada.api.POST('/api/v1/datasets/{datasetId}/versions', {
      params: { path: { datasetId } },
      body: { message: 'm', operations: [{ op: 'put', path: 'a', fileId: file.id }] },
    });
    await ada.api.PUT('/api/v1/datasets/{datasetId}/tags/{tag}', {
      params: { path: { datasetId, tag: 'ice' } },
    });
    await ada.api.PUT('/api/v1/datasets/{datasetId}/permissions/everyone', {
      params: { path: { datasetId } },
      body: { permission: 'read' },
    });
    const actions = (await entries({ datasetId, actorId: ada.id })).map(({ action }) => action);
    expect(actions).toEqual(
      expect.arrayContaining([
        'dataset.created',
        'version.created',
        'pointer.created',
        'pointer.changed',
        'dataset-tag.created',
      ]),
    );
    const grants = await entries({ actorId: ada.id, action: 'permission.*' });
    expect(grants[0]).toMatchObject({ after: { resource_id: datasetId, permission_type: 'read' } });
    expect(await entries({ action: 'user.created', resourceId: String(ada.id) })).toHaveLength(1);
  });

  it('never shows a secret', async () => {
    const { data: key } = await ada.api.POST('/api/v1/api-keys', { body: { name: 'k' } });
    const [made] = await entries({ resourceType: 'api-key', resourceId: String(key!.id) });
    expect(made?.after).toMatchObject({ name: 'k', secret_hash: '(secret)' });
    expect(JSON.stringify(await entries({ limit: 1000 }))).not.toContain(key!.key);
  });

  it('tells of refused attempts', async () => {
    const datasetId = await dataset();
    const stranger = await app.user(randomUUID());
    await stranger.api.GET('/api/v1/datasets/{datasetId}', { params: { path: { datasetId } } });
    await stranger.api.GET('/api/v1/users', {});
    const refused = await eventually(async () => {
      const found = await entries({ actorId: stranger.id, outcome: 'refused' });
      return found.length === 2 ? found : null;
    });
    expect(refused).toMatchObject([
      { operation: 'listUsers', after: { status: 403, problem: 'forbidden' } },
      { operation: 'getDataset', after: { status: 404, problem: 'not-found' } },
    ]);
    await fetch(`${app.url}/api/v1/datasets`, {
      headers: { Authorization: 'Bearer guessed', 'X-Request-Id': 'a-guess' },
    });
    const [guess] = await eventually(async () => {
      const found = await entries({ requestId: 'a-guess' });
      return found.length === 1 ? found : null;
    });
    expect(guess).toMatchObject({ actorId: null, operation: 'listDatasets', outcome: 'refused' });
  });

  it('is listed page by page, within times, and to administrators alone', async () => {
    await dataset();
    const first = await app.admin.api.GET('/api/v1/audit', { params: { query: { limit: 2 } } });
    const second = await app.admin.api.GET('/api/v1/audit', {
      params: { query: { limit: 2, cursor: first.data!.nextCursor! } },
    });
    const ids = [...first.data!.items, ...second.data!.items].map(({ id }) => Number(id));
    expect(ids).toEqual([...ids].sort((a, b) => b - a));
    expect(new Set(ids).size).toBe(4);
    expect(await entries({ until: '2001-01-01' })).toEqual([]);
    expect(await entries({ since: '2001-01-01', limit: 1 })).toHaveLength(1);
    expect((await ada.api.GET('/api/v1/audit', {})).response.status).toBe(403);
  });

  it('is exported as NDJSON and as CSV that no spreadsheet runs', async () => {
    const name = '=cmd()';
    const requestId = `-${randomUUID()}`;
    await fetch(`${app.url}/api/v1/groups`, {
      method: 'POST',
      headers: {
        Authorization: `Bearer ${app.admin.token}`,
        'Content-Type': 'application/json',
        'X-Request-Id': requestId,
      },
      body: JSON.stringify({ name }),
    });
    const get = async (format: string) => {
      const answer = await fetch(
        `${app.url}/api/v1/audit/export?format=${format}&requestId=${requestId}`,
        { headers: { Authorization: `Bearer ${app.admin.token}` } },
      );
      return { type: answer.headers.get('content-type'), text: await answer.text() };
    };
    const ndjson = await get('ndjson');
    expect(ndjson.type).toContain('application/x-ndjson');
    expect(
      ndjson.text
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as object),
    ).toMatchObject([{ action: 'group.created', after: { name } }]);
    const csv = await get('csv');
    const [header, line] = csv.text.split('\r\n');
    expect(header).toMatch(/^id,at,actorId/);
    expect(line).toContain(`,'${requestId},`);
    expect(line).toContain('""name"":""=cmd()""');
    const all = await fetch(`${app.url}/api/v1/audit/export`, {
      headers: { Authorization: `Bearer ${app.admin.token}` },
    });
    const lines = (await all.text()).trim().split('\n');
    expect(lines.length).toBeGreaterThan(10);
  });

  it('is chained, and checked on demand', async () => {
    await dataset();
    const check = await app.admin.api.GET('/api/v1/audit/verify', {});
    expect(check.data).toMatchObject({ valid: true, complete: true, broken: null });
    const { seq, hash } = check.data!.last!;
    const again = await app.admin.api.GET('/api/v1/audit/verify', {
      params: { query: { afterSeq: seq, afterHash: hash } },
    });
    expect(again.data).toMatchObject({ valid: true });
    const half = await app.admin.api.GET('/api/v1/audit/verify', {
      params: { query: { afterSeq: 1 } },
    });
    expect(half.response.status).toBe(400);
  });
});
