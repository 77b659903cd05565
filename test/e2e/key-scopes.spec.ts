import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { apiClient, startApp, type ApiClient, type TestApp, type TestUser } from '../app.js';

describe('an API key', () => {
  let app: TestApp;
  let ada: TestUser;
  let datasetId: number;

  beforeAll(async () => {
    app = await startApp();
    ada = await app.user('ada');
    const made = await ada.api.POST('/api/v1/datasets', { body: { name: 'd' } });
    datasetId = made.data!.id;
  });
  afterAll(() => app.close());

  const withScope = async (scope: 'read' | 'write' | 'admin', user = ada): Promise<ApiClient> => {
    const { data } = await user.api.POST('/api/v1/api-keys', { body: { name: 'k', scope } });
    expect(data).toMatchObject({ scope });
    return apiClient(app.url, data!.key);
  };
  const statuses = async (api: ApiClient) => {
    const path = { datasetId };
    const read = await api.GET('/api/v1/datasets/{datasetId}', { params: { path } });
    const make = await api.POST('/api/v1/datasets', { body: { name: randomUUID() } });
    const change = await api.PATCH('/api/v1/datasets/{datasetId}', {
      params: { path },
      body: { description: randomUUID() },
    });
    const share = await api.PUT('/api/v1/datasets/{datasetId}/permissions/everyone', {
      params: { path },
      body: { permission: 'read' },
    });
    const key = await api.POST('/api/v1/api-keys', { body: { name: 'x' } });
    return [read, make, change, share, key].map(({ response }) => response.status);
  };

  it('does no more than its scope, whatever its user may do', async () => {
    expect(await statuses(await withScope('read'))).toEqual([200, 403, 403, 403, 403]);
    expect(await statuses(await withScope('write'))).toEqual([200, 201, 200, 403, 403]);
    expect(await statuses(await withScope('admin'))).toEqual([200, 201, 200, 200, 201]);
    const administrator = await withScope('write', app.admin);
    expect((await administrator.GET('/api/v1/users', {})).response.status).toBe(403);
    const check = await (
      await withScope('read')
    ).POST('/api/v1/files/check', {
      body: { sha256: ['a'.repeat(64)] },
    });
    expect(check.response.status).toBe(200);
  });

  it('is replaced by one that does the same, and works on for as long as was said', async () => {
    const made = await ada.api.POST('/api/v1/api-keys', {
      body: { name: 'nightly', scope: 'read', expiresAt: '2999-01-01T00:00:00Z' },
    });
    const rotate = (keyId: number, overlapSeconds: number, who = ada) =>
      who.api.POST('/api/v1/api-keys/{keyId}/rotate', {
        params: { path: { keyId } },
        body: { overlapSeconds },
      });
    const alive = async (key: string) =>
      (await apiClient(app.url, key).GET('/api/v1/users/me')).response.status;
    const second = await rotate(made.data!.id, 3600);
    expect(second.data).toMatchObject({ name: 'nightly', scope: 'read', userId: ada.id });
    expect(second.data!.expiresAt).not.toBeNull();
    expect([await alive(made.data!.key), await alive(second.data!.key)]).toEqual([200, 200]);
    const third = await rotate(second.data!.id, 0);
    expect([await alive(second.data!.key), await alive(third.data!.key)]).toEqual([401, 200]);
    expect((await rotate(second.data!.id, 0)).response.status).toBe(404);
    const bob = await app.user('bob');
    expect((await rotate(third.data!.id, 0, bob)).response.status).toBe(404);
    await app.admin.api.PATCH('/api/v1/users/{userId}', {
      params: { path: { userId: ada.id } },
      body: { disabled: true },
    });
    expect((await rotate(third.data!.id, 0, app.admin)).response.status).toBe(409);
  });
});
