import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startApp, type TestApp, type TestUser } from '../app.js';
import { fill, operationsOf, send, type Operation } from './operations.js';

/** Open to everybody, and why. */
const PUBLIC = new Map([
  ['getLiveness', 'a probe of the orchestrator'],
  ['getReadiness', 'a probe of the orchestrator'],
  ['signIn', 'brings a password instead'],
  ['refreshSession', 'brings a refresh token instead'],
]);

describe('every operation', () => {
  let app: TestApp;
  let operations: Operation[];
  let owner: TestUser;
  let stranger: TestUser;
  const with_ = new Map<'read' | 'write' | 'admin', TestUser>();
  let datasetId: number;
  let fileId: number;
  const NONE = 2_000_000_000;

  beforeAll(async () => {
    app = await startApp();
    operations = await operationsOf(app);
    owner = await app.user('owner');
    stranger = await app.user('stranger');
    const uploaded = await fetch(`${app.url}/api/v1/files?name=a.txt`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${owner.token}`, 'Content-Type': 'text/plain' },
      body: 'private',
    });
    fileId = ((await uploaded.json()) as { id: number }).id;
    const made = await owner.api.POST('/api/v1/datasets', { body: { name: 'private' } });
    datasetId = made.data!.id;
    await owner.api.POST('/api/v1/datasets/{datasetId}/versions', {
      params: { path: { datasetId } },
      body: { message: 'first', operations: [{ op: 'put', path: 'a.txt', fileId }] },
    });
    for (const permission of ['read', 'write', 'admin'] as const) {
      const user = await app.user(`may-${permission}`);
      with_.set(permission, user);
      await owner.api.PUT('/api/v1/datasets/{datasetId}/permissions/{userId}', {
        params: { path: { datasetId, userId: user.id } },
        body: { permission },
      });
    }
  });
  afterAll(() => app.close());

  it('says what it needs, and only the listed ones are open to everybody', () => {
    expect(operations.length).toBeGreaterThan(50);
    expect(operations.filter(({ access }) => !access).map(({ id }) => id)).toEqual([]);
    const open = operations.filter(({ access }) => access?.kind === 'public').map(({ id }) => id);
    expect(open.filter((id) => !PUBLIC.has(id))).toEqual([]);
  });

  it('names in what it needs a parameter that its route has', () => {
    for (const { id, route, access } of operations) {
      if (access?.parameter === undefined) continue;
      expect({ id, route }).toEqual({
        id,
        route: expect.stringContaining(`{${access.parameter}}`) as unknown,
      });
    }
  });

  it('on a dataset asks for a permission on that dataset', () => {
    const loose = operations.filter(
      ({ route, access }) =>
        route.includes('{datasetId}') && access?.kind !== 'dataset' && access?.kind !== 'admin',
    );
    expect(loose.map(({ id }) => id)).toEqual([]);
  });

  it('refuses whoever is not signed in, with nothing but 401', async () => {
    for (const { id, method, route, access } of operations) {
      if (access?.kind === 'public') continue;
      const { status } = await send(app, null, method, fill(route, { datasetId, fileId }));
      expect({ id, status }).toEqual({ id, status: 401 });
    }
  });

  it('for administrators refuses a member with 403', async () => {
    for (const { id, method, route, access } of operations) {
      if (access?.kind !== 'admin') continue;
      const path = fill(route, { datasetId, fileId });
      const { status } = await send(app, owner.token, method, path);
      expect({ id, status }).toEqual({ id, status: 403 });
    }
  });

  it('on a thing that a stranger has nothing to do with answers as if it were not there', async () => {
    for (const { id, method, route, access } of operations) {
      if (access?.kind !== 'dataset' && access?.kind !== 'file') continue;
      const real = await send(app, stranger.token, method, fill(route, { datasetId, fileId }));
      const none = await send(
        app,
        stranger.token,
        method,
        fill(route, { datasetId: NONE, fileId: NONE }),
      );
      const expected = none.body.replaceAll(
        String(NONE),
        String(access.kind === 'dataset' ? datasetId : fileId),
      );
      expect({ id, ...real }).toEqual({ id, status: 404, body: method === 'HEAD' ? '' : expected });
      expect({ id, status: none.status }).toEqual({ id, status: 404 });
    }
  });

  it('that needs more than the caller holds is refused with 403, and else is let through', async () => {
    const ranks = ['read', 'write', 'admin'] as const;
    // What succeeds without a body or a known id would change the ground for the others.
    const destructive = new Set(['deleteDataset']);
    for (const { id, method, route, access } of operations) {
      if (access?.kind !== 'dataset' || destructive.has(id)) continue;
      for (const held of ranks) {
        const { status } = await send(
          app,
          with_.get(held)!.token,
          method,
          fill(route, { datasetId }),
        );
        const enough = ranks.indexOf(held) >= ranks.indexOf(access.permission!);
        if (enough)
          expect({ id, held, allowed: status !== 403 && status < 500 }).toEqual({
            id,
            held,
            allowed: true,
          });
        else expect({ id, held, status }).toEqual({ id, held, status: 403 });
      }
    }
  });
});
