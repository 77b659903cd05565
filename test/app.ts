import { mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import createClient, { type Client } from 'openapi-fetch';
import { AdminBootstrap } from '../src/access/admin-bootstrap.js';
import type { Role } from '../src/core/principal.js';
import { readConfig, type Config } from '../src/platform/config/config.js';
import { drain, type HttpApplication } from '../src/http-application.js';
import { createServer } from '../src/server.js';
import { createEventBus } from '../src/event-bus.js';
import type { paths } from './client/schema.js';
import { testDatabase, type TestDatabase } from './database/test-database.js';

export type ApiClient = Client<paths>;

/** A user of the running server, and the client that speaks for it. */
export interface TestUser {
  readonly id: number;
  readonly token: string;
  readonly api: ApiClient;
}

/** A whole server on a port and a database of its own. */
export interface TestApp {
  readonly url: string;
  readonly databaseUrl: string;
  readonly config: Config;
  readonly app: HttpApplication;
  readonly admin: TestUser;
  /** Makes a user with a key. */
  user(name: string, role?: Role): Promise<TestUser>;
  close(): Promise<void>;
}

const ADMIN_TOKEN = 'test-administrator-token';

/** Speaks to a server with a key. */
export function apiClient(url: string, token: string): ApiClient {
  return createClient<paths>({ baseUrl: url, headers: { Authorization: `Bearer ${token}` } });
}

/**
 * Starts a server in this process; `environment` sets variables as an operator would. Closing it drops
 * the database, also one that was given.
 */
export async function startApp(
  environment: Record<string, string> = {},
  given?: TestDatabase,
  create = createServer,
): Promise<TestApp> {
  const database = given ?? (await testDatabase());
  const dataDir = await mkdtemp(path.join(tmpdir(), 'varve-app-'));
  const config = readConfig({
    DATA_DIR: dataDir,
    ADMIN_TOKEN,
    LOG_LEVEL: process.env['TEST_LOG_LEVEL'] ?? 'silent',
    DATABASE_POOL_SIZE: '10',
    ...environment,
  });
  const app = await create({ config, databaseUrl: database.url });
  await app.get(AdminBootstrap, { strict: false }).ensureAdministrator();
  await app.listen(0, '127.0.0.1');
  const { port } = app.getHttpServer().address() as AddressInfo;
  const url = `http://127.0.0.1:${port}`;

  const userOf = async (token: string): Promise<TestUser> => {
    const api = apiClient(url, token);
    const { data } = await api.GET('/api/v1/users/me');
    if (!data) throw new Error('the key is not accepted');
    return { id: data.id, token, api };
  };
  const admin = await userOf(ADMIN_TOKEN);

  return {
    url,
    databaseUrl: database.url,
    config,
    app,
    admin,
    async user(name, role = 'member') {
      const user = await admin.api.POST('/api/v1/users', { body: { name, role } });
      if (!user.data) throw new Error(`no user ${name}: ${JSON.stringify(user.error)}`);
      const key = await admin.api.POST('/api/v1/api-keys', {
        body: { name: 'test', userId: user.data.id },
      });
      if (!key.data) throw new Error(`no key for ${name}: ${JSON.stringify(key.error)}`);
      return userOf(key.data.key);
    },
    async close() {
      await drain(app, 5_000);
      await database.drop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

/** Starts the event bus as a service in this process. */
export const startEventBus = (environment?: Record<string, string>, given?: TestDatabase) =>
  startApp(environment, given, createEventBus);
