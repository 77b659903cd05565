import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { startApp, type TestApp, type TestUser } from '../app.js';

describe('permissions', () => {
  let app: TestApp;
  let ada: TestUser;
  let bob: TestUser;
  let cem: TestUser;
  let datasetId: number;

  beforeAll(async () => {
    app = await startApp();
    [ada, bob, cem] = [await app.user('ada'), await app.user('bob'), await app.user('cem')];
  });
  afterAll(() => app.close());
  beforeEach(async () => {
    const made = await ada.api.POST('/api/v1/datasets', { body: { name: randomUUID() } });
    datasetId = made.data!.id;
  });

  const upload = async (who: TestUser, text: string): Promise<number> => {
    const answer = await fetch(`${app.url}/api/v1/files?name=a.txt`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${who.token}`, 'Content-Type': 'text/plain' },
      body: text,
    });
    return ((await answer.json()) as { id: number }).id;
  };
  const grant = (who: TestUser, userId: number, permission: 'read' | 'write' | 'admin') =>
    who.api.PUT('/api/v1/datasets/{datasetId}/permissions/{userId}', {
      params: { path: { datasetId, userId } },
      body: { permission },
    });
  const withdraw = (who: TestUser, userId: number) =>
    who.api.DELETE('/api/v1/datasets/{datasetId}/permissions/{userId}', {
      params: { path: { datasetId, userId } },
    });
  const read = async (who: TestUser): Promise<number> =>
    (await who.api.GET('/api/v1/datasets/{datasetId}', { params: { path: { datasetId } } }))
      .response.status;
  const change = async (who: TestUser): Promise<number> =>
    (
      await who.api.PATCH('/api/v1/datasets/{datasetId}', {
        params: { path: { datasetId } },
        body: { description: randomUUID() },
      })
    ).response.status;
  const listed = async (who: TestUser): Promise<boolean> => {
    const { data } = await who.api.GET('/api/v1/datasets', {
      params: { query: { limit: 1000 } },
    });
    return data!.items.some(({ id }) => id === datasetId);
  };
  const group = async (...members: TestUser[]): Promise<number> => {
    const made = await app.admin.api.POST('/api/v1/groups', { body: { name: randomUUID() } });
    const groupId = made.data!.id;
    for (const { id } of members) {
      await app.admin.api.PUT('/api/v1/groups/{groupId}/members/{userId}', {
        params: { path: { groupId, userId: id } },
      });
    }
    return groupId;
  };

  describe('on a dataset', () => {
    it('open it as far as was granted, in checks and lists alike, until they are withdrawn', async () => {
      expect([await read(bob), await listed(bob)]).toEqual([404, false]);
      const granted = await grant(ada, bob.id, 'read');
      expect(granted.data).toMatchObject({
        grantee: { type: 'user', id: bob.id, name: 'bob' },
        permission: 'read',
        grantedBy: ada.id,
      });
      expect([await read(bob), await listed(bob), await change(bob)]).toEqual([200, true, 403]);
      await grant(ada, bob.id, 'write');
      expect([await read(bob), await change(bob)]).toEqual([200, 200]);
      expect((await grant(bob, cem.id, 'read')).response.status).toBe(403);
      expect((await withdraw(ada, bob.id)).response.status).toBe(204);
      expect([await read(bob), await listed(bob), await change(bob)]).toEqual([404, false, 404]);
      expect((await withdraw(ada, bob.id)).response.status).toBe(404);
    });

    it('reach the members of a group, and the strongest of several counts', async () => {
      const groupId = await group(bob);
      const path = { datasetId, groupId };
      await ada.api.PUT('/api/v1/datasets/{datasetId}/permissions/groups/{groupId}', {
        params: { path },
        body: { permission: 'write' },
      });
      await grant(ada, bob.id, 'read');
      expect([await change(bob), await read(cem)]).toEqual([200, 404]);
      await app.admin.api.DELETE('/api/v1/groups/{groupId}/members/{userId}', {
        params: { path: { groupId, userId: bob.id } },
      });
      expect([await change(bob), await read(bob)]).toEqual([403, 200]);
      const gone = await ada.api.DELETE(
        '/api/v1/datasets/{datasetId}/permissions/groups/{groupId}',
        { params: { path } },
      );
      expect(gone.response.status).toBe(204);
    });

    it('end with the group they were granted to', async () => {
      const groupId = await group(bob);
      await ada.api.PUT('/api/v1/datasets/{datasetId}/permissions/groups/{groupId}', {
        params: { path: { datasetId, groupId } },
        body: { permission: 'read' },
      });
      expect(await read(bob)).toBe(200);
      await app.admin.api.DELETE('/api/v1/groups/{groupId}', { params: { path: { groupId } } });
      expect(await read(bob)).toBe(404);
    });

    it('can be given to everybody, to read and no more', async () => {
      const share = (permission: string) =>
        ada.api.PUT('/api/v1/datasets/{datasetId}/permissions/everyone', {
          params: { path: { datasetId } },
          body: { permission: permission as 'read' },
        });
      expect((await share('write')).response.status).toBe(400);
      expect((await share('read')).data).toMatchObject({
        grantee: { type: 'everyone', id: null, name: null },
      });
      expect([await read(cem), await listed(cem), await change(cem)]).toEqual([200, true, 403]);
      const ended = await ada.api.DELETE('/api/v1/datasets/{datasetId}/permissions/everyone', {
        params: { path: { datasetId } },
      });
      expect([ended.response.status, await read(cem)]).toEqual([204, 404]);
    });

    it('are listed page by page to whoever administers it, and to nobody else', async () => {
      await grant(ada, bob.id, 'admin');
      await grant(bob, cem.id, 'read');
      const page = (who: TestUser, cursor?: string) =>
        who.api.GET('/api/v1/datasets/{datasetId}/permissions', {
          params: { path: { datasetId }, query: { limit: 1, ...(cursor && { cursor }) } },
        });
      const first = await page(bob);
      expect(first.data?.items.map(({ grantee }) => grantee.name)).toEqual(['bob']);
      const second = await page(ada, first.data!.nextCursor!);
      expect(second.data).toMatchObject({
        items: [{ grantee: { name: 'cem' }, permission: 'read', grantedBy: bob.id }],
        nextCursor: null,
      });
      expect((await page(cem)).response.status).toBe(403);
    });

    it('are for whom there is', async () => {
      expect((await grant(ada, 2_000_000_000, 'read')).response.status).toBe(404);
      const nobody = await ada.api.PUT(
        '/api/v1/datasets/{datasetId}/permissions/groups/{groupId}',
        {
          params: { path: { datasetId, groupId: 2_000_000_000 } },
          body: { permission: 'read' },
        },
      );
      expect(nobody.response.status).toBe(404);
    });

    it('take nothing from its owner', async () => {
      await grant(ada, bob.id, 'admin');
      for (const answer of [await grant(bob, ada.id, 'read'), await withdraw(bob, ada.id)]) {
        expect(answer.error).toMatchObject({ type: 'urn:varve:problem:owner-administers' });
      }
    });

    it('leave it to somebody who can administer it', async () => {
      const owner = await app.user(randomUUID());
      const made = await owner.api.POST('/api/v1/datasets', { body: { name: randomUUID() } });
      datasetId = made.data!.id;
      await grant(owner, bob.id, 'admin');
      await app.admin.api.PATCH('/api/v1/users/{userId}', {
        params: { path: { userId: owner.id } },
        body: { disabled: true },
      });
      for (const answer of [await withdraw(bob, bob.id), await grant(bob, bob.id, 'read')]) {
        expect(answer.error).toMatchObject({ type: 'urn:varve:problem:last-administrator' });
      }
      expect(await change(bob)).toBe(200);
      await grant(bob, cem.id, 'admin');
      // Of two who leave at the same moment one has to stay.
      const leaving = await Promise.all([withdraw(bob, bob.id), withdraw(cem, cem.id)]);
      expect(leaving.map(({ response }) => response.status).sort()).toEqual([204, 409]);
      const last = (await change(bob)) === 200 ? bob : cem;
      expect((await withdraw(app.admin, last.id)).response.status).toBe(204);
    });

    it('let its administrators restore it, and show it to nobody else while it is deleted', async () => {
      await grant(ada, bob.id, 'admin');
      await grant(ada, cem.id, 'read');
      await ada.api.DELETE('/api/v1/datasets/{datasetId}', { params: { path: { datasetId } } });
      const deleted = async (who: TestUser) => {
        const { data } = await who.api.GET('/api/v1/datasets', {
          params: { query: { deleted: true } },
        });
        return data!.items.some(({ id }) => id === datasetId);
      };
      expect([await deleted(bob), await deleted(cem)]).toEqual([true, false]);
      const restore = (who: TestUser) =>
        who.api.POST('/api/v1/datasets/{datasetId}/restore', { params: { path: { datasetId } } });
      expect((await restore(cem)).response.status).toBe(404);
      expect((await restore(bob)).response.status).toBe(200);
    });
  });

  describe('on a file', () => {
    const content = async (who: TestUser, fileId: number): Promise<number> =>
      (
        await fetch(`${app.url}/api/v1/files/${fileId}/content`, {
          headers: { Authorization: `Bearer ${who.token}` },
        })
      ).status;
    const grantFile = (
      who: TestUser,
      fileId: number,
      userId: number,
      permission: 'read' | 'admin',
    ) =>
      who.api.PUT('/api/v1/files/{fileId}/permissions/{userId}', {
        params: { path: { fileId, userId } },
        body: { permission },
      });
    const grantsOn = async (who: TestUser, fileId: number) =>
      (
        await who.api.GET('/api/v1/files/{fileId}/permissions', { params: { path: { fileId } } })
      ).data?.items.map(({ grantee, grantedBy }) => [grantee.name, grantedBy]);

    it('open it by themselves, and to groups', async () => {
      const fileId = await upload(ada, randomUUID());
      expect(await content(bob, fileId)).toBe(404);
      await grantFile(ada, fileId, bob.id, 'read');
      expect([await content(bob, fileId), await content(cem, fileId)]).toEqual([200, 404]);
      expect((await grantFile(bob, fileId, cem.id, 'read')).response.status).toBe(403);
      const groupId = await group(cem);
      const path = { fileId, groupId };
      await ada.api.PUT('/api/v1/files/{fileId}/permissions/groups/{groupId}', {
        params: { path },
        body: { permission: 'read' },
      });
      expect(await content(cem, fileId)).toBe(200);
      await ada.api.DELETE('/api/v1/files/{fileId}/permissions/groups/{groupId}', {
        params: { path },
      });
      await ada.api.DELETE('/api/v1/files/{fileId}/permissions/{userId}', {
        params: { path: { fileId, userId: bob.id } },
      });
      expect([await content(bob, fileId), await content(cem, fileId)]).toEqual([404, 404]);
    });

    it('open it to whoever may read a dataset that holds it', async () => {
      const fileId = await upload(ada, randomUUID());
      await ada.api.POST('/api/v1/datasets/{datasetId}/versions', {
        params: { path: { datasetId } },
        body: { message: 'm', operations: [{ op: 'put', path: 'a', fileId }] },
      });
      const groupId = await group(cem);
      await grant(ada, bob.id, 'read');
      await ada.api.PUT('/api/v1/datasets/{datasetId}/permissions/groups/{groupId}', {
        params: { path: { datasetId, groupId } },
        body: { permission: 'read' },
      });
      expect([await content(bob, fileId), await content(cem, fileId)]).toEqual([200, 200]);
      await withdraw(ada, bob.id);
      expect(await content(bob, fileId)).toBe(404);
    });

    it('tell uploaders of the same content nothing of each other', async () => {
      const text = randomUUID();
      const fileId = await upload(ada, text);
      await grantFile(ada, fileId, cem.id, 'read');
      expect(await upload(bob, text)).toBe(fileId);
      expect(await grantsOn(bob, fileId)).toEqual([]);
      await grantFile(bob, fileId, cem.id, 'read');
      expect(await grantsOn(bob, fileId)).toEqual([['cem', bob.id]]);
      expect(await grantsOn(app.admin, fileId)).toEqual([
        ['cem', ada.id],
        ['cem', bob.id],
      ]);
      await bob.api.DELETE('/api/v1/files/{fileId}/permissions/{userId}', {
        params: { path: { fileId, userId: cem.id } },
      });
      expect(await content(cem, fileId)).toBe(200);
    });

    it('cannot be given up by whoever has nothing else to administer it by', async () => {
      const fileId = await upload(ada, randomUUID());
      await grantFile(ada, fileId, ada.id, 'admin');
      await ada.api.DELETE('/api/v1/files/{fileId}', { params: { path: { fileId } } });
      const path = { fileId, userId: ada.id };
      const given = await ada.api.DELETE('/api/v1/files/{fileId}/permissions/{userId}', {
        params: { path },
      });
      expect(given.error).toMatchObject({ type: 'urn:varve:problem:would-lock-you-out' });
    });

    it('cannot be had through a hash or an id in a body', async () => {
      const text = randomUUID();
      const fileId = await upload(ada, text);
      const { data: file } = await ada.api.GET('/api/v1/files/{fileId}', {
        params: { path: { fileId } },
      });
      const own = await bob.api.POST('/api/v1/datasets', { body: { name: randomUUID() } });
      const commit = (content: { fileId: number } | { sha256: string }) =>
        bob.api.POST('/api/v1/datasets/{datasetId}/versions', {
          params: { path: { datasetId: own.data!.id } },
          body: { message: 'm', operations: [{ op: 'put', path: 'a', ...content }] },
        });
      const { sha256 } = file!;
      const unknown = 'f'.repeat(64);
      const refused = await commit({ sha256 });
      const never = await commit({ sha256: unknown });
      expect([refused.response.status, never.response.status]).toEqual([422, 422]);
      expect({ ...refused.error, requestId: '', detail: '' }).toEqual(
        JSON.parse(
          JSON.stringify({ ...never.error, requestId: '', detail: '' }).replaceAll(unknown, sha256),
        ),
      );
      expect((await commit({ fileId })).response.status).toBe(422);
      const check = () => bob.api.POST('/api/v1/files/check', { body: { sha256: [sha256] } });
      expect((await check()).data?.items).toEqual([]);
      await grantFile(ada, fileId, bob.id, 'read');
      expect((await check()).data?.items).toHaveLength(1);
      expect((await commit({ sha256 })).response.status).toBe(201);
    });
  });

  describe('groups', () => {
    it('are made, renamed and filled by administrators, and seen by their members', async () => {
      const groupId = await group(bob, cem);
      const names = async (who: TestUser) =>
        (await who.api.GET('/api/v1/groups', {})).data!.items.map(({ id }) => id);
      expect(await names(bob)).toContain(groupId);
      expect(await names(ada)).not.toContain(groupId);
      const name = randomUUID();
      const rename = (id: number, to: string) =>
        app.admin.api.PATCH('/api/v1/groups/{groupId}', {
          params: { path: { groupId: id } },
          body: { name: to },
        });
      expect((await rename(groupId, name)).data).toMatchObject({ id: groupId, name });
      const other = await group();
      expect((await rename(other, name)).error).toMatchObject({
        type: 'urn:varve:problem:group-name-taken',
      });
      const again = await app.admin.api.POST('/api/v1/groups', { body: { name } });
      expect(again.response.status).toBe(409);
      expect((await rename(2_000_000_000, 'x')).response.status).toBe(404);
      const members = (cursor?: string) =>
        app.admin.api.GET('/api/v1/groups/{groupId}/members', {
          params: { path: { groupId }, query: { limit: 1, ...(cursor && { cursor }) } },
        });
      const first = await members();
      expect(first.data?.items).toMatchObject([{ userId: bob.id, name: 'bob' }]);
      const second = await members(first.data!.nextCursor!);
      expect(second.data).toMatchObject({ items: [{ userId: cem.id }], nextCursor: null });
    });

    it('have members that there are', async () => {
      const groupId = await group();
      const path = { groupId, userId: 2_000_000_000 };
      const member = '/api/v1/groups/{groupId}/members/{userId}';
      expect((await app.admin.api.PUT(member, { params: { path } })).response.status).toBe(404);
      expect((await app.admin.api.DELETE(member, { params: { path } })).response.status).toBe(404);
      const none = { groupId: 2_000_000_000, userId: ada.id };
      expect((await app.admin.api.PUT(member, { params: { path: none } })).response.status).toBe(
        404,
      );
      const list = await app.admin.api.GET('/api/v1/groups/{groupId}/members', {
        params: { path: { groupId: 2_000_000_000 } },
      });
      const gone = await app.admin.api.DELETE('/api/v1/groups/{groupId}', {
        params: { path: { groupId: 2_000_000_000 } },
      });
      expect([list.response.status, gone.response.status]).toEqual([404, 404]);
    });
  });
});
