import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { DataSource } from 'typeorm';
import { apiClient, startApp, type TestApp, type TestUser } from '../app.js';

const PASSWORD = 'correct horse battery staple';

describe('signing in with a password', () => {
  let app: TestApp;
  let database: DataSource;

  beforeAll(async () => {
    app = await startApp({ LOGIN_ATTEMPTS: '3' });
    database = await new DataSource({ type: 'postgres', url: app.databaseUrl }).initialize();
  });
  afterAll(async () => {
    await database.destroy();
    await app.close();
  });

  const aUser = async (password = PASSWORD): Promise<TestUser & { name: string }> => {
    const name = randomUUID();
    const user = await app.user(name);
    const set = await app.admin.api.PUT('/api/v1/users/{userId}/password', {
      params: { path: { userId: user.id } },
      body: { password },
    });
    expect(set.response.status).toBe(204);
    return { ...user, name };
  };
  const signIn = (name: string, password = PASSWORD) =>
    app.admin.api.POST('/api/v1/auth/login', { body: { name, password } });
  const refresh = (refreshToken: string) =>
    app.admin.api.POST('/api/v1/auth/refresh', { body: { refreshToken } });
  const me = async (token: string) =>
    (await apiClient(app.url, token).GET('/api/v1/users/me')).response.status;

  it('gives a token for a short time, which is its user', async () => {
    const user = await aUser();
    const answer = await signIn(user.name);
    expect(answer.response.headers.get('cache-control')).toBe('no-store');
    expect(answer.data).toMatchObject({ expiresIn: 900, refreshExpiresIn: 2_592_000 });
    const { data } = await apiClient(app.url, answer.data!.accessToken).GET('/api/v1/users/me');
    expect(data).toMatchObject({ id: user.id });
    const stored = JSON.stringify(await database.query('SELECT to_jsonb(t) FROM session_tokens t'));
    expect(stored).not.toContain(answer.data!.accessToken);
    expect(JSON.stringify(await database.query('SELECT hash FROM passwords'))).toContain(
      '$argon2id$',
    );
  });

  it('answers a wrong password, an unknown name and a locked one alike', async () => {
    const { name } = await aUser();
    const wrong = await signIn(name, 'not the password');
    const unknown = await signIn(randomUUID());
    for (let n = 0; n < 3; n++) await signIn(name, 'not the password');
    const locked = await signIn(name);
    const bodies = [wrong, unknown, locked].map(({ response, error }) => ({
      status: response.status,
      ...(error as object),
      requestId: '',
    }));
    expect(bodies[0]).toMatchObject({ status: 401, type: 'urn:varve:problem:login-refused' });
    expect(bodies[1]).toEqual(bodies[0]);
    expect(bodies[2]).toEqual(bodies[0]);
  });

  it('counts attempts before it makes them, for names that nobody has as well', async () => {
    const { name } = await aUser();
    await Promise.all(Array.from({ length: 8 }, () => signIn(name, 'not the password')));
    expect((await signIn(name)).response.status).toBe(401);
    const nobody = randomUUID();
    await signIn(nobody);
    await signIn(nobody);
    const attempts = await database.query<{ failures: number }[]>(
      'SELECT failures FROM login_attempts ORDER BY failures DESC',
    );
    expect(attempts[0]?.failures).toBeGreaterThanOrEqual(9);
    // The lock passes by itself, by the database's clock.
    await database.query(`UPDATE login_attempts SET counts_until = now() - interval '1 second'`);
    expect((await signIn(name)).response.status).toBe(200);
  });

  it('starts to count anew after a success', async () => {
    const { name } = await aUser();
    for (const password of ['wrong', 'wrong', PASSWORD, 'wrong', 'wrong', PASSWORD]) {
      const { response } = await signIn(name, password);
      expect(response.status).toBe(password === PASSWORD ? 200 : 401);
    }
  });

  it('goes on by a refresh token, which works once and ends the pair before', async () => {
    const { name } = await aUser();
    const first = (await signIn(name)).data!;
    const second = (await refresh(first.refreshToken)).data!;
    expect(await me(first.accessToken)).toBe(401);
    expect(await me(second.accessToken)).toBe(200);
    const third = (await refresh(second.refreshToken)).data!;
    expect(await me(third.accessToken)).toBe(200);
  });

  it('ends for everybody when a refresh token comes a second time', async () => {
    const { name } = await aUser();
    const first = (await signIn(name)).data!;
    const second = (await refresh(first.refreshToken)).data!;
    const stolen = await refresh(first.refreshToken);
    expect(stolen.error).toMatchObject({ type: 'urn:varve:problem:refresh-refused' });
    expect(await me(second.accessToken)).toBe(401);
    expect((await refresh(second.refreshToken)).response.status).toBe(401);
    const other = (await signIn(name)).data!;
    expect(await me(other.accessToken)).toBe(200);
    const { data } = await app.admin.api.GET('/api/v1/audit', {
      params: { query: { action: 'session.changed', limit: 1 } },
    });
    expect(data?.items[0]?.after).toMatchObject({ ended_because: 'reuse' });
  });

  it('lets only one of two through who refresh at the same moment, and ends it for both', async () => {
    const { name } = await aUser();
    const { refreshToken } = (await signIn(name)).data!;
    const both = await Promise.all([refresh(refreshToken), refresh(refreshToken)]);
    expect(both.map(({ response }) => response.status).sort()).toEqual([200, 401]);
    const winner = both.find(({ data }) => data)!.data!;
    expect(await me(winner.accessToken)).toBe(401);
  });

  it('does not take an access token for a refresh token, nor the other way round', async () => {
    const { name } = await aUser();
    const pair = (await signIn(name)).data!;
    expect((await refresh(pair.accessToken)).response.status).toBe(401);
    expect(await me(pair.refreshToken)).toBe(401);
    expect(await me(pair.accessToken)).toBe(200);
  });

  it('ends by signing out, and with its user', async () => {
    const user = await aUser();
    const pair = (await signIn(user.name)).data!;
    const own = apiClient(app.url, pair.accessToken);
    expect((await own.POST('/api/v1/auth/logout')).response.status).toBe(204);
    expect(await me(pair.accessToken)).toBe(401);
    expect((await refresh(pair.refreshToken)).response.status).toBe(401);
    expect((await user.api.POST('/api/v1/auth/logout')).response.status).toBe(204);
    const again = (await signIn(user.name)).data!;
    await app.admin.api.PATCH('/api/v1/users/{userId}', {
      params: { path: { userId: user.id } },
      body: { disabled: true },
    });
    expect(await me(again.accessToken)).toBe(401);
    expect((await refresh(again.refreshToken)).response.status).toBe(401);
    expect((await signIn(user.name)).response.status).toBe(401);
  });

  it('changes with the password, which ends every session', async () => {
    const user = await aUser();
    const pair = (await signIn(user.name)).data!;
    const change = (currentPassword: string, password: string) =>
      apiClient(app.url, pair.accessToken).PUT('/api/v1/users/me/password', {
        body: { currentPassword, password },
      });
    expect((await change('not the password', 'another password')).response.status).toBe(403);
    expect((await change(PASSWORD, 'short')).response.status).toBe(400);
    expect((await change(PASSWORD, 'another password')).response.status).toBe(204);
    expect(await me(pair.accessToken)).toBe(401);
    expect((await signIn(user.name)).response.status).toBe(401);
    expect((await signIn(user.name, 'another password')).response.status).toBe(200);
    const path = { userId: user.id };
    const remove = () =>
      app.admin.api.DELETE('/api/v1/users/{userId}/password', { params: { path } });
    expect((await remove()).response.status).toBe(204);
    expect((await signIn(user.name, 'another password')).response.status).toBe(401);
    expect((await remove()).response.status).toBe(404);
    const nobody = await app.admin.api.PUT('/api/v1/users/{userId}/password', {
      params: { path: { userId: 2_000_000_000 } },
      body: { password: PASSWORD },
    });
    expect(nobody.response.status).toBe(404);
  });
});
