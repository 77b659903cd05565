import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { apiClient, type ApiClient } from '../app.js';
import { AUDIENCE, startOidcProvider, type OidcProvider } from '../builders/oidc-provider.js';
import { testDatabase, type TestDatabase } from '../database/test-database.js';
import { PROCESS_TOKEN, startServerProcess, type ServerProcess } from '../server-process.js';
import { fill, operationsAt, type Operation } from './operations.js';

const PASSWORD = 'the password of ada, which nobody shall read';
const WRONG_PASSWORD = 'a wrong password, which is nearly right';
const NEXT_PASSWORD = 'the next password of ada, as secret as that';
const DATABASE_PASSWORD = 'the-password-of-the-database';

describe('a server that logs all it can', () => {
  let database: TestDatabase;
  let dataDir: string;
  let provider: OidcProvider;
  let server: ServerProcess;
  let admin: ApiClient;
  let operations: Operation[];
  /** By what each is, so that a failure says which one was seen. */
  const secrets: Record<string, string> = {};
  /** Everything that was answered besides the one showing of each. */
  const answers: string[] = [];

  /** Notes what is secret in an answer that shows it once. */
  const shown = <T>(
    answer: { data?: T; error?: unknown },
    name: string,
    pick: (data: T) => string,
  ): T => {
    if (!answer.data) throw new Error(`${name}: ${JSON.stringify(answer.error)}`);
    secrets[name] = pick(answer.data);
    return answer.data;
  };

  beforeAll(async () => {
    database = await testDatabase();
    dataDir = await mkdtemp(path.join(tmpdir(), 'varve-secrets-'));
    provider = await startOidcProvider();
    const url = new URL(database.url);
    // Where no password is asked for, any is as good.
    if (url.password === '') url.password = DATABASE_PASSWORD;
    secrets['the password of the database'] = url.password;
    secrets['the administrator’s token'] = PROCESS_TOKEN;
    server = await startServerProcess({
      DATABASE_URL: url.href,
      DATA_DIR: dataDir,
      LOG_LEVEL: 'trace',
      WEBHOOK_ALLOWED_HOSTS: '127.0.0.1',
      OIDC_ISSUER: provider.issuer,
      OIDC_AUDIENCE: AUDIENCE,
    });
    admin = apiClient(server.url, PROCESS_TOKEN);
    operations = await operationsAt(server.url);
  });
  afterAll(async () => {
    await server.end('SIGTERM');
    await provider.close();
    await database.drop();
    await rm(dataDir, { recursive: true, force: true });
  });

  const call = async (
    method: string,
    at: string,
    headers: Record<string, string>,
    body?: unknown,
  ): Promise<number> => {
    const answer = await fetch(`${server.url}${at}`, {
      method,
      headers: { ...headers, ...(body !== undefined && { 'Content-Type': 'application/json' }) },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    answers.push(JSON.stringify([...answer.headers]), await answer.text());
    return answer.status;
  };
  const bearer = (token: string) => ({ Authorization: `Bearer ${token}` });

  it('has given and been given secrets of every kind', async () => {
    const user = (await admin.POST('/api/v1/users', { body: { name: 'ada', role: 'member' } }))
      .data!;
    const key = shown(
      await admin.POST('/api/v1/api-keys', { body: { name: 'k', userId: user.id } }),
      'an API key',
      (made) => made.key,
    );
    shown(
      await admin.POST('/api/v1/api-keys/{keyId}/rotate', {
        params: { path: { keyId: key.id } },
        body: {},
      }),
      'a rotated API key',
      (made) => made.key,
    );
    const hook = shown(
      await admin.POST('/api/v1/webhooks', {
        body: { url: 'http://127.0.0.1:9/?token=in-the-address', types: ['dataset.*'] },
      }),
      'the secret of a webhook',
      (made) => made.secret,
    );
    shown(
      await admin.POST('/api/v1/webhooks/{webhookId}/secret', {
        params: { path: { webhookId: hook.id } },
      }),
      'the next secret of a webhook',
      (made) => made.secret,
    );

    secrets['a password'] = PASSWORD;
    secrets['a wrong password'] = WRONG_PASSWORD;
    secrets['the next password'] = NEXT_PASSWORD;
    const at = `/api/v1/users/${user.id}/password`;
    expect(await call('PUT', at, bearer(PROCESS_TOKEN), { password: PASSWORD })).toBe(204);
    const login = '/api/v1/auth/login';
    expect(await call('POST', login, {}, { name: 'ada', password: WRONG_PASSWORD })).toBe(401);
    // Bodies that cannot be taken must not be quoted either.
    expect(await call('POST', login, {}, `{"name":"ada","password":"${PASSWORD}"`)).toBe(400);
    expect(await call('POST', login, {}, { name: 'ada', password: [PASSWORD] })).toBe(400);
    expect(await call('POST', login, {}, { name: 'ada', passwort: PASSWORD })).toBe(400);
    expect(await call('PUT', at, bearer(PROCESS_TOKEN), { password: [PASSWORD] })).toBe(400);
    const session = shown(
      await admin.POST('/api/v1/auth/login', { body: { name: 'ada', password: PASSWORD } }),
      'an access token',
      (pair) => pair.accessToken,
    );
    secrets['a refresh token'] = session.refreshToken;
    const next = shown(
      await admin.POST('/api/v1/auth/refresh', { body: { refreshToken: session.refreshToken } }),
      'the next access token',
      (pair) => pair.accessToken,
    );
    secrets['the next refresh token'] = next.refreshToken;
    const mine = { currentPassword: PASSWORD, password: NEXT_PASSWORD };
    expect(await call('PUT', '/api/v1/users/me/password', bearer(next.accessToken), mine)).toBe(
      204,
    );
    // Used a second time, which ends the family.
    const refresh = '/api/v1/auth/refresh';
    expect(await call('POST', refresh, {}, { refreshToken: session.refreshToken })).toBe(401);

    const token = await provider.token({ sub: 'grace', preferred_username: 'grace' });
    secrets['the signature of a provider’s token'] = token.split('.')[2]!;
    expect(await call('GET', '/api/v1/users/me', bearer(token))).toBe(200);
    expect(await call('GET', '/api/v1/users/me', bearer(`${token}x`))).toBe(401);

    // In all the places where they do not belong.
    const me = '/api/v1/users/me';
    expect(await call('GET', me, { Authorization: `Basic ${PROCESS_TOKEN}` })).toBe(401);
    expect(await call('GET', me, { Cookie: `token=${PROCESS_TOKEN}` })).toBe(401);
    expect(await call('GET', me, { 'X-Api-Key': PROCESS_TOKEN })).toBe(401);
    expect(await call('GET', me, bearer(`${key.key}0`))).toBe(401);
    expect(await call('GET', `${me}?access_token=${PROCESS_TOKEN}`, {})).toBe(401);
    expect(await call('GET', `/api/v1/nowhere?token=${PROCESS_TOKEN}`, {})).toBe(404);
    expect(await call('GET', `${me}?token=${PROCESS_TOKEN}`, bearer(PROCESS_TOKEN))).toBeLessThan(
      500,
    );

    const made = await call('POST', '/api/v1/datasets', bearer(PROCESS_TOKEN), { name: 'd' });
    expect(made).toBe(201);
    const keyed = { ...bearer(PROCESS_TOKEN), 'Idempotency-Key': 'once' };
    expect(await call('POST', '/api/v1/datasets', keyed, { name: 'e' })).toBe(201);
    expect(Object.values(secrets).filter((secret) => secret.length < 10)).toEqual([]);
  });

  it('has answered with none of them where it shows things', async () => {
    const reading = operations.filter(
      ({ method, id }) => method === 'GET' && id !== 'streamEvents',
    );
    expect(reading.length).toBeGreaterThan(50);
    for (const { route } of reading) {
      const at = fill(route, { datasetId: 1, userId: 2, webhookId: 1, keyId: 1, groupId: 1 });
      expect(await call('GET', at, bearer(PROCESS_TOKEN))).toBeLessThan(500);
    }
    const text = answers.join('\n');
    // It did show them, and what they are called is no secret.
    expect(text).toContain('"webhook"');
    const seen = Object.entries(secrets).filter(
      // The address of a request that was refused is the client's own to see again.
      ([, secret]) => text.replaceAll(`token=${PROCESS_TOKEN}`, '').includes(secret),
    );
    expect(seen.map(([name]) => name)).toEqual([]);
  });

  it('keeps none of them in its database', async () => {
    const dataSource = await database.open();
    const tables = await dataSource.query<{ name: string }[]>(
      `SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables
       WHERE schemaname NOT IN ('pg_catalog', 'information_schema')`,
    );
    expect(tables.length).toBeGreaterThan(30);
    // The secrets of webhooks as they would lie there: PostgreSQL writes bytes in hexadecimal.
    const hidden = Object.entries(secrets).map(([name, secret]): [string, string] => [
      name,
      secret.replace(/^whsec_(.+)$/, (_, text: string) =>
        Buffer.from(text, 'base64').toString('hex'),
      ),
    ]);
    const seen = await dataSource.query<object[]>(
      `SELECT name, table_name FROM unnest($1::text[], $2::text[]) AS s (name, secret)
       JOIN (${tables.map(({ name }) => `SELECT '${name}' AS table_name, t::text AS row FROM ${name} t`).join(' UNION ALL ')})
         ON strpos(row, secret) > 0`,
      [hidden.map(([name]) => name), hidden.map(([, secret]) => secret)],
    );
    expect(seen).toEqual([]);
  });

  it('has written none of them to its log', async () => {
    await server.end('SIGTERM');
    const log = server.output();
    expect(log).toContain('/api/v1/auth/login');
    expect(log.split('\n').length).toBeGreaterThan(50);
    const seen = Object.entries(secrets).filter(([, secret]) => log.includes(secret));
    expect(seen.map(([name]) => name)).toEqual([]);
    expect(log).not.toMatch(/Bearer \S|\$argon2/);
  });
});

describe('a server that cannot start', () => {
  const SECRET = 'a-password-in-an-address';
  let database: TestDatabase;
  let dataDir: string;

  beforeAll(async () => {
    database = await testDatabase();
    dataDir = await mkdtemp(path.join(tmpdir(), 'varve-unstarted-'));
  });
  afterAll(async () => {
    await database.drop();
    await rm(dataDir, { recursive: true, force: true });
  });

  it.each<[string, Record<string, string>]>([
    ['a database of another kind', { DATABASE_URL: `mysql://varve:${SECRET}@127.0.0.1/x` }],
    ['a broker of another kind', { EVENT_BUS_URL: `smtp://varve:${SECRET}@127.0.0.1:1` }],
    ['a storage of another kind', { STORAGE_URL: `ftp://varve:${SECRET}@127.0.0.1:1/x` }],
    ['a token that is too short', { ADMIN_TOKEN: SECRET.slice(0, 10) }],
    ['a token with a blank', { ADMIN_TOKEN: `${SECRET} ${SECRET}` }],
  ])('says so, and not with what: %s', async (_, environment) => {
    const child = spawn(process.execPath, [path.resolve('dist/src/main.js')], {
      env: {
        PATH: process.env['PATH'],
        PORT: '0',
        LOG_LEVEL: 'trace',
        DATA_DIR: dataDir,
        DATABASE_URL: database.url,
        ...environment,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const [out, error] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, 'exit'),
    ]);
    expect(child.exitCode).toBe(1);
    expect(error).toContain('Varve cannot go on');
    expect(out + error).not.toContain(SECRET.slice(0, 10));
  });
});
