import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startApp, type TestApp } from '../app.js';

describe('a dataset', () => {
  let app: TestApp;
  let datasetId: number;

  beforeAll(async () => {
    app = await startApp({ MAX_BRANCHES: '3', MAX_TAGS: '2', MAX_DRAFTS: '2' });
    const made = await app.admin.api.POST('/api/v1/datasets', { body: { name: 'd' } });
    datasetId = made.data!.id;
    await commit('first');
  });
  afterAll(() => app.close());

  const commit = async (path: string, versionTag?: string) => {
    const uploaded = await fetch(`${app.url}/api/v1/files?name=a.txt`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${app.admin.token}`, 'Content-Type': 'text/plain' },
      body: path,
    });
    const { id: fileId } = (await uploaded.json()) as { id: number };
    return app.admin.api.POST('/api/v1/datasets/{datasetId}/versions', {
      params: { path: { datasetId } },
      body: {
        message: path,
        operations: [{ op: 'put', path, fileId }],
        ...(versionTag && { versionTag }),
      },
    });
  };
  const params = () => ({ path: { datasetId } });
  const statuses = (answers: { response: Response }[]) =>
    answers.map(({ response }) => response.status).sort();

  it('has no more branches than it may, however many are made at once', async () => {
    const answers = await Promise.all(
      ['a', 'b', 'c', 'd'].map((name) =>
        app.admin.api.POST('/api/v1/datasets/{datasetId}/branches', {
          params: params(),
          body: { name, from: 'main' },
        }),
      ),
    );
    expect(statuses(answers)).toEqual([201, 201, 409, 409]);
    expect(answers.find(({ error }) => error)?.error).toMatchObject({
      type: 'urn:varve:problem:dataset-full',
      limit: 3,
    });
  });

  it('has no more tags than it may, whichever way they are made', async () => {
    const tag = (name: string) =>
      app.admin.api.POST('/api/v1/datasets/{datasetId}/version-tags', {
        params: params(),
        body: { name, from: 'main' },
      });
    expect(statuses([await tag('one'), await commit('second', 'two')])).toEqual([201, 201]);
    expect(statuses([await tag('three'), await commit('third', 'four')])).toEqual([409, 409]);
    await app.admin.api.DELETE('/api/v1/datasets/{datasetId}/version-tags/{tag}', {
      params: { path: { datasetId, tag: 'one' } },
    });
    expect((await tag('five')).response.status).toBe(201);
  });

  it('has no more open drafts than it may', async () => {
    const answers = await Promise.all(
      [1, 2, 3, 4].map(() =>
        app.admin.api.POST('/api/v1/datasets/{datasetId}/drafts', { params: params(), body: {} }),
      ),
    );
    expect(statuses(answers)).toEqual([201, 201, 409, 409]);
  });
});
