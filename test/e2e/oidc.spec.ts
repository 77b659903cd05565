import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { apiClient, startApp, type TestApp } from '../app.js';
import { eventually } from '../builders/eventually.js';
import { AUDIENCE, startOidcProvider, type OidcProvider } from '../builders/oidc-provider.js';

describe('tokens of an OpenID provider', () => {
  let provider: OidcProvider;
  let app: TestApp;

  beforeAll(async () => {
    provider = await startOidcProvider();
    app = await startApp({
      OIDC_ISSUER: provider.issuer,
      OIDC_AUDIENCE: AUDIENCE,
      OIDC_ROLE_CLAIM: 'realm_access.roles',
      OIDC_ADMIN_ROLE: 'varve-admin',
    });
  });
  afterAll(async () => {
    await app.close();
    await provider.close();
  });

  const me = async (token: string) => {
    const { data, response } = await apiClient(app.url, token).GET('/api/v1/users/me');
    return data ?? response.status;
  };

  it('make a user of whoever comes for the first time, and know it again', async () => {
    const sub = randomUUID();
    const token = await provider.token({ sub, preferred_username: 'grace' });
    const first = await me(token);
    expect(first).toMatchObject({ name: 'grace', role: 'member' });
    const renamed = await provider.token({ sub, preferred_username: 'grace hopper' });
    expect(await me(renamed)).toEqual(first);
  });

  it('let somebody in once who comes twice at the first moment', async () => {
    const sub = randomUUID();
    const tokens = await Promise.all(
      [1, 2, 3, 4].map((jti) => provider.token({ sub, jti: String(jti) })),
    );
    const ids = await Promise.all(tokens.map(me));
    expect(new Set(ids.map((user) => (user as { id: number }).id)).size).toBe(1);
  });

  it('never take over a user that is here by the same name', async () => {
    const local = await app.user('linus');
    const other = await me(
      await provider.token({ sub: randomUUID(), preferred_username: 'linus' }),
    );
    expect(other).toMatchObject({ name: expect.stringMatching(/^linus [0-9a-f]{12}$/) as unknown });
    expect((other as { id: number }).id).not.toBe(local.id);
    const admin = await me(
      await provider.token({ sub: randomUUID(), preferred_username: 'admin' }),
    );
    expect(admin).toMatchObject({ role: 'member' });
  });

  it('give the role that the provider says, for as long as it says so', async () => {
    const sub = randomUUID();
    const as = async (roles: unknown) =>
      me(await provider.token({ sub, realm_access: { roles }, jti: randomUUID() }));
    expect(await as(['other', 'varve-admin'])).toMatchObject({ role: 'admin' });
    expect(await as('varve-admin')).toMatchObject({ role: 'admin' });
    expect(await as(['other'])).toMatchObject({ role: 'member' });
    expect(await as({ 'varve-admin': true })).toMatchObject({ role: 'member' });
  });

  it('call people by what can be a name', async () => {
    const named = async (preferred_username: unknown) =>
      (
        (await me(await provider.token({ sub: randomUUID(), preferred_username }))) as {
          name: string;
        }
      ).name;
    expect(await named(' a\u0000b\n ')).toBe('ab');
    expect(await named('')).toBe('somebody');
    expect(await named('x'.repeat(500))).toHaveLength(87);
  });

  it('end with their user, on a key of its own as well', async () => {
    const token = await provider.token({ sub: randomUUID() });
    const { id } = (await me(token)) as { id: number };
    await app.admin.api.PATCH('/api/v1/users/{userId}', {
      params: { path: { userId: id } },
      body: { disabled: true },
    });
    expect(await me(token)).toBe(401);
  });

  it('are believed within the clock tolerance, and no longer', async () => {
    const now = Math.floor(Date.now() / 1000);
    expect(await me(await provider.token({ exp: now - 3600 }))).toBe(401);
    expect(await me(await provider.token({ nbf: now + 3600 }))).toBe(401);
    expect(await me(await provider.token({ nbf: now + 10 }))).toMatchObject({ role: 'member' });
  });

  it.each<[string, Record<string, unknown>]>([
    ['another audience', { aud: 'another' }],
    ['another issuer', { iss: 'https://elsewhere.example' }],
    ['nobody', { sub: undefined }],
    ['all time', { exp: undefined }],
  ])('for %s are refused', async (_, claims) => {
    expect(await me(await provider.token(claims))).toBe(401);
  });

  it('go on when the provider takes another key, and with the keys that are known without it', async () => {
    const other = await startOidcProvider();
    const own = await startApp({ OIDC_ISSUER: other.issuer, OIDC_AUDIENCE: AUDIENCE });
    const status = async (token: string) =>
      (await apiClient(own.url, token).GET('/api/v1/users/me')).response.status;
    try {
      const old = await other.token({ jti: 'old' });
      expect(await status(await other.token())).toBe(200);
      await other.rotate({ dropOld: true });
      const token = await other.token();
      await eventually(async () => ((await status(token)) === 200 ? true : null));
      expect(await status(old)).toBe(401);
      await other.close();
      expect(await status(await other.token({ jti: 'known key' }))).toBe(200);
    } finally {
      await own.close();
    }
  });

  it('are answered with 503 while the provider cannot be reached, and keys still work', async () => {
    const gone = await startOidcProvider();
    const token = await gone.token();
    await gone.close();
    const own = await startApp({ OIDC_ISSUER: gone.issuer, OIDC_AUDIENCE: AUDIENCE });
    try {
      const answer = await apiClient(own.url, token).GET('/api/v1/users/me');
      expect(answer.response.status).toBe(503);
      expect(answer.response.headers.get('retry-after')).toBe('5');
      expect((await own.admin.api.GET('/api/v1/users/me')).response.status).toBe(200);
    } finally {
      await own.close();
    }
  });
});
