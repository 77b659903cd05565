import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { NestExpressApplication } from '@nestjs/platform-express';
import request from 'supertest';
import type { DataSource } from 'typeorm';
import { bareApp } from '../../test/builders/bare-app.js';
import { testDatabase, type TestDatabase } from '../../test/database/test-database.js';
import { AccessModule } from './access.module.js';
import type { ApiKeyView, IssuedApiKeyView } from './api-keys.dto.js';
import { hashSecret } from './key-secret.js';
import type { UserView } from './users.dto.js';
import { UsersService } from './users.service.js';
import type { UserId } from '../core/ids.js';

interface PageOf<T> {
  items: T[];
  nextCursor: string | null;
}

const bodyOf = <T>(answer: { body: unknown }) => answer.body as T;

describe('users and API keys', () => {
  let database: TestDatabase;
  let dataSource: DataSource;
  let app: NestExpressApplication;
  let url: string;
  let tests = 0;

  beforeAll(async () => {
    database = await testDatabase();
    dataSource = await database.open();
    ({ app, url } = await bareApp(database.url, [AccessModule]));
  });
  afterAll(async () => {
    await app.close();
    await database.drop();
  });
  beforeEach(async () => {
    tests++;
    await dataSource.query('TRUNCATE users RESTART IDENTITY CASCADE');
    for (const [id, name, role] of [
      [1, 'root', 'admin'],
      [2, 'ada', 'member'],
    ]) {
      await dataSource.query('INSERT INTO users (name, role) VALUES ($1, $2)', [name, role]);
      // A secret of its own for each test: what an earlier one made the server remember is past.
      await dataSource.query(
        `INSERT INTO api_keys (user_id, name, prefix, secret_hash) VALUES ($1, 'first', '', $2)`,
        [id, hashSecret(secretOf(name as string))],
      );
    }
  });

  const secretOf = (name: string) => `${name}-${tests}`;
  const as = (name: string) => ({ Authorization: `Bearer ${secretOf(name)}` });
  const server = () => request(url);
  const withKey = (key: string) => server().get('/users/me').set('Authorization', `Bearer ${key}`);

  describe('users', () => {
    it('are made by an administrator', async () => {
      const made = await server()
        .post('/users')
        .set(as('root'))
        .send({ name: 'Bob', role: 'member' });
      expect(made.status).toBe(201);
      expect(made.body).toEqual({
        id: 3,
        name: 'Bob',
        role: 'member',
        createdAt: (made.body as UserView).createdAt,
        disabledAt: null,
      });
      const got = await server().get('/users/3').set(as('root'));
      expect(got.body).toEqual(made.body);
    });

    it('have names of their own, also when two are made at once', async () => {
      const statuses = await Promise.all(
        Array.from({ length: 5 }, async () => {
          const answer = await server()
            .post('/users')
            .set(as('root'))
            .send({ name: 'Bob', role: 'member' });
          return answer.status;
        }),
      );
      expect(statuses.sort()).toEqual([201, 409, 409, 409, 409]);
    });

    it.each([
      [{ name: '', role: 'member' }],
      [{ name: ' Bob', role: 'member' }],
      [{ name: 'Bob\n', role: 'member' }],
      [{ name: 'x'.repeat(101), role: 'member' }],
      [{ name: 'Bob', role: 'owner' }],
      [{ name: 'Bob' }],
      [{ name: 'Bob', role: 'member', id: 9 }],
      [{ name: ['Bob'], role: 'member' }],
    ])('are refused as %j', async (body) => {
      const answer = await server().post('/users').set(as('root')).send(body);
      expect(answer.status).toBe(400);
      expect(await dataSource.query('SELECT count(*)::int AS n FROM users')).toEqual([{ n: 2 }]);
    });

    it('are nothing for members to see, but for themselves', async () => {
      expect((await server().get('/users/me').set(as('ada'))).body).toMatchObject({ id: 2 });
      for (const path of ['/users', '/users/1', '/users/2']) {
        expect((await server().get(path).set(as('ada'))).status).toBe(403);
      }
      const grab = await server().patch('/users/2').set(as('ada')).send({ role: 'admin' });
      expect(grab.status).toBe(403);
      expect(
        (await server().post('/users').set(as('ada')).send({ name: 'B', role: 'admin' })).status,
      ).toBe(403);
    });

    it('are listed page by page, each once', async () => {
      for (let n = 1; n <= 5; n++) {
        await dataSource.query(`INSERT INTO users (name, role) VALUES ($1, 'member')`, [`u${n}`]);
      }
      const ids: number[] = [];
      let cursor: string | null = null;
      do {
        const query: object = { limit: 3, ...(cursor !== null && { cursor }) };
        const page: PageOf<UserView> = bodyOf(
          await server().get('/users').query(query).set(as('root')),
        );
        ids.push(...page.items.map(({ id }) => id));
        cursor = page.nextCursor;
      } while (cursor !== null);
      expect(ids).toEqual([1, 2, 3, 4, 5, 6, 7]);
    });

    it.each(['"x"', '-1', '1.5', 'null', '[1]', '99999999999'])(
      'are not listed from the forged cursor %s',
      async (text) => {
        const cursor = Buffer.from(text).toString('base64url');
        const answer = await server().get('/users').query({ cursor }).set(as('root'));
        expect(answer.status).toBe(400);
      },
    );

    it('are shut out at once when disabled, and let in again when enabled', async () => {
      expect((await withKey(secretOf('ada'))).status).toBe(200);
      const disabled = await server().patch('/users/2').set(as('root')).send({ disabled: true });
      expect((disabled.body as UserView).disabledAt).not.toBeNull();
      expect((await withKey(secretOf('ada'))).status).toBe(401);
      const again = await server().patch('/users/2').set(as('root')).send({ disabled: true });
      expect(again.body).toEqual(disabled.body);
      await server().patch('/users/2').set(as('root')).send({ disabled: false });
      expect((await withKey(secretOf('ada'))).body).toMatchObject({ disabledAt: null });
    });

    it('change role, and keep what is not mentioned', async () => {
      const changed = await server().patch('/users/2').set(as('root')).send({ role: 'admin' });
      expect(changed.body).toMatchObject({ role: 'admin', disabledAt: null });
      expect((await server().get('/users').set(as('ada'))).status).toBe(200);
      const nothing = await server().patch('/users/2').set(as('root')).send({});
      expect(nothing.body).toEqual(changed.body);
    });

    it.each([[{ role: null }], [{ disabled: null }], [{ disabled: 'yes' }], [{ name: 'x' }]])(
      'refuse the change %j',
      async (body) => {
        expect((await server().patch('/users/2').set(as('root')).send(body)).status).toBe(400);
      },
    );

    it('that do not exist cannot be seen or changed', async () => {
      expect((await server().get('/users/9').set(as('root'))).status).toBe(404);
      expect(
        (await server().patch('/users/9').set(as('root')).send({ role: 'admin' })).status,
      ).toBe(404);
    });

    it.each([[{ disabled: true }], [{ role: 'member' }]])(
      'keep their last administrator from %j',
      async (change) => {
        const answer = await server().patch('/users/1').set(as('root')).send(change);
        expect(answer.status).toBe(409);
        expect(answer.body).toMatchObject({ type: 'urn:varve:problem:last-administrator' });
        expect((await withKey(secretOf('root'))).body).toMatchObject({ role: 'admin' });
      },
    );

    it('keep one administrator when all are taken away at once', async () => {
      const users = app.get(UsersService);
      for (let n = 3; n <= 8; n++) {
        await dataSource.query(`INSERT INTO users (name, role) VALUES ($1, 'admin')`, [`a${n}`]);
      }
      const outcomes = await Promise.allSettled(
        [1, 3, 4, 5, 6, 7, 8].map((id, n) =>
          users.change(id as UserId, n % 2 ? { disabled: true } : { role: 'member' }),
        ),
      );
      expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(6);
      expect(
        await dataSource.query(
          `SELECT count(*)::int AS n FROM users WHERE role = 'admin' AND disabled_at IS NULL`,
        ),
      ).toEqual([{ n: 1 }]);
    });
  });

  describe('API keys', () => {
    const issue = async (who: string, body: object) =>
      server().post('/api-keys').set(as(who)).send(body);

    it('are shown once, work, and are stored as a hash', async () => {
      const answer = await issue('ada', { name: 'nightly' });
      const issued = bodyOf<IssuedApiKeyView>(answer);
      expect(answer.status).toBe(201);
      expect(answer.headers['cache-control']).toBe('no-store');
      expect(issued.key.startsWith(issued.prefix)).toBe(true);
      expect((await withKey(issued.key)).body).toMatchObject({ id: 2 });

      const list = bodyOf<PageOf<ApiKeyView>>(await server().get('/api-keys').set(as('ada')));
      const { key, ...shown } = issued;
      expect({ ...list.items[1], lastUsedAt: null }).toEqual(shown);
      expect(list.items[1]?.lastUsedAt).toMatch(/Z$/);
      const stored = await dataSource.query<object[]>(
        'SELECT row_to_json(k) AS row FROM api_keys k',
      );
      expect(JSON.stringify(stored)).not.toContain(key);
      expect(JSON.stringify(list)).not.toContain(hashSecret(key));
    });

    it('stop working when they expire', async () => {
      const issued = bodyOf<IssuedApiKeyView>(
        await issue('ada', { name: 'short', expiresAt: '2999-01-01T00:00:00+02:00' }),
      );
      expect(issued.expiresAt).toBe('2998-12-31T22:00:00.000Z');
      await dataSource.query(`UPDATE api_keys SET expires_at = now() WHERE id = $1`, [issued.id]);
      expect((await withKey(issued.key)).status).toBe(401);
    });

    it.each([
      [{ name: 'x', expiresAt: '2001-01-01T00:00:00Z' }],
      [{ name: 'x', expiresAt: '2999-01-01' }],
      [{ name: 'x', expiresAt: '2998-12-31T23:59:60Z' }],
      [{ name: 'x', expiresAt: null }],
      [{ name: 'x', userId: 0 }],
      [{ name: 'x', userId: '2' }],
      [{ name: 'x', userId: 2 ** 31 }],
      [{ name: ' ' }],
      [{}],
    ])('are refused as %j', async (body) => {
      expect((await issue('root', body)).status).toBe(400);
    });

    it('are made for others by administrators alone', async () => {
      const { key } = bodyOf<IssuedApiKeyView>(await issue('root', { name: 'for ada', userId: 2 }));
      expect((await withKey(key)).body).toMatchObject({ id: 2 });
      expect((await issue('ada', { name: 'x', userId: 1 })).status).toBe(403);
      expect((await issue('ada', { name: 'x', userId: 2 })).status).toBe(201);
      expect((await issue('root', { name: 'x', userId: 77 })).status).toBe(404);
    });

    it('are not made for a disabled user', async () => {
      await server().patch('/users/2').set(as('root')).send({ disabled: true });
      expect((await issue('root', { name: 'x', userId: 2 })).status).toBe(409);
    });

    it('are listed to their owner, and to administrators', async () => {
      const own = await server().get('/api-keys').set(as('ada'));
      expect((own.body as PageOf<ApiKeyView>).items.map(({ userId }) => userId)).toEqual([2]);
      const asked = await server().get('/api-keys?userId=2').set(as('root'));
      expect((asked.body as PageOf<ApiKeyView>).items.map(({ userId }) => userId)).toEqual([2]);
      expect((await server().get('/api-keys?userId=1').set(as('ada'))).status).toBe(403);
      expect((await server().get('/api-keys?userId=x').set(as('root'))).status).toBe(400);
      const first = await server().get('/api-keys?limit=1').set(as('ada'));
      const { nextCursor } = first.body as PageOf<ApiKeyView>;
      expect(nextCursor).toBeNull();
      await issue('ada', { name: 'second' });
      const page = (await server().get('/api-keys?limit=1').set(as('ada')))
        .body as PageOf<ApiKeyView>;
      const rest = await server()
        .get('/api-keys')
        .query({ cursor: page.nextCursor })
        .set(as('ada'));
      expect((rest.body as PageOf<ApiKeyView>).items.map(({ name }) => name)).toEqual(['second']);
    });

    it('end at once when revoked, for good, and stay listed', async () => {
      const { id, key } = bodyOf<IssuedApiKeyView>(await issue('ada', { name: 'x' }));
      expect((await withKey(key)).status).toBe(200);
      const revoke = () => server().delete(`/api-keys/${id}`).set(as('ada'));
      expect((await revoke()).status).toBe(204);
      expect((await withKey(key)).status).toBe(401);
      const listed = async () => {
        const page = (await server().get('/api-keys').set(as('ada'))).body as PageOf<ApiKeyView>;
        return page.items.find((item) => item.id === id)?.revokedAt;
      };
      const revokedAt = await listed();
      expect(revokedAt).not.toBeNull();
      expect((await revoke()).status).toBe(204);
      expect(await listed()).toBe(revokedAt);
    });

    it('are revoked by their owner or an administrator alone', async () => {
      expect((await server().delete('/api-keys/1').set(as('ada'))).status).toBe(404);
      expect((await server().delete('/api-keys/99').set(as('root'))).status).toBe(404);
      expect((await withKey(secretOf('root'))).status).toBe(200);
      expect((await server().delete('/api-keys/2').set(as('root'))).status).toBe(204);
      expect((await withKey(secretOf('ada'))).status).toBe(401);
    });
  });
});
