import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { DataSource } from 'typeorm';
import { authenticatorOn } from '../../test/builders/access.js';
import { testDatabase, type TestDatabase } from '../../test/database/test-database.js';
import { TypeOrmUnitOfWork } from '../platform/database/unit-of-work.js';
import { AdminBootstrap } from './admin-bootstrap.js';
import { hashSecret, makeSecret } from './key-secret.js';

const FIRST = 'the-first-administrator-token';
const SECOND = 'the-second-administrator-token';

describe('AdminBootstrap', () => {
  let database: TestDatabase;
  let dataSource: DataSource;

  beforeEach(async () => {
    database = await testDatabase();
    dataSource = await database.open();
  });
  afterEach(() => database.drop());

  const unitOfWork = () => new TypeOrmUnitOfWork(dataSource, () => undefined);
  const start = (token?: string) =>
    new AdminBootstrap(unitOfWork(), { ADMIN_TOKEN: token }).ensureAdministrator();
  const whoHas = async (secret: string) => authenticatorOn(unitOfWork()).authenticate(secret);

  it('makes an administrator and tells the key, once', async () => {
    const key = await start();
    expect(key).toMatch(/^varve_[\w-]{43}$/);
    expect(await whoHas(key!)).toMatchObject({ name: 'admin', role: 'admin' });
    expect(await start()).toBeNull();
  });

  it('makes one key when many replicas start together', async () => {
    const keys = await Promise.all(Array.from({ length: 8 }, () => start()));
    expect(keys.filter((key) => key !== null)).toHaveLength(1);
    expect(await dataSource.query('SELECT count(*)::int AS n FROM api_keys')).toEqual([{ n: 1 }]);
  });

  it('takes the configured token as the key, however many replicas start with it', async () => {
    expect(await Promise.all(Array.from({ length: 8 }, () => start(FIRST)))).toEqual(
      Array.from({ length: 8 }, () => null),
    );
    expect(await whoHas(FIRST)).toMatchObject({ name: 'admin', role: 'admin' });
  });

  it('ends the earlier token when another is configured, and brings it back when asked', async () => {
    await start(FIRST);
    await start(SECOND);
    expect(await whoHas(FIRST)).toBeNull();
    expect(await whoHas(SECOND)).not.toBeNull();
    await start(FIRST);
    expect(await whoHas(FIRST)).not.toBeNull();
    expect(await whoHas(SECOND)).toBeNull();
  });

  it('ends the key of the first start when a token is configured', async () => {
    const key = await start();
    await start(FIRST);
    expect(await whoHas(key!)).toBeNull();
  });

  it('leaves the keys that the administrator has made for itself alone', async () => {
    await start(FIRST);
    const own = makeSecret();
    await dataSource.query(
      `INSERT INTO api_keys (user_id, name, prefix, secret_hash)
       SELECT id, 'own', '', $1 FROM users`,
      [hashSecret(own)],
    );
    await start(SECOND);
    expect(await whoHas(own)).not.toBeNull();
  });

  it('makes a new key where the only administrator is disabled, or has none that works', async () => {
    await start();
    await dataSource.query('UPDATE users SET disabled_at = now()');
    const second = await start();
    expect(await whoHas(second!)).not.toBeNull();
    await dataSource.query('UPDATE api_keys SET revoked_at = now()');
    const third = await start();
    expect(await whoHas(third!)).not.toBeNull();
    await dataSource.query(`UPDATE api_keys SET expires_at = now() - interval '1 second'`);
    expect(await start()).not.toBeNull();
  });

  it('is content with any administrator that has a key', async () => {
    await dataSource.query(`INSERT INTO users (id, name, role) VALUES (7, 'ada', 'admin')`);
    await dataSource.query(
      `INSERT INTO api_keys (user_id, name, prefix, secret_hash) VALUES (7, 'own', '', $1)`,
      [hashSecret(makeSecret())],
    );
    expect(await start()).toBeNull();
  });

  it('makes the user an administrator again when a token is configured', async () => {
    await start(FIRST);
    await dataSource.query(`UPDATE users SET role = 'member', disabled_at = now()`);
    await start(FIRST);
    expect(await whoHas(FIRST)).toMatchObject({ role: 'admin' });
  });
});
