import { afterAll, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import type { DataSource } from 'typeorm';
import { eventually } from '../../test/builders/eventually.js';
import { testDatabase, type TestDatabase } from '../../test/database/test-database.js';
import type { UnitOfWork } from '../core/contracts/unit-of-work.js';
import type { ApiKeyId, SessionId, UserId } from '../core/ids.js';
import type { Principal } from '../core/principal.js';
import { TypeOrmUnitOfWork } from '../platform/database/unit-of-work.js';
import { CredentialWatcher } from './credential-watcher.js';

describe('CredentialWatcher', () => {
  let database: TestDatabase;
  let dataSource: DataSource;
  let unitOfWork: UnitOfWork;
  let watcher: CredentialWatcher;

  beforeAll(async () => {
    database = await testDatabase();
    dataSource = await database.open();
    unitOfWork = new TypeOrmUnitOfWork(dataSource, () => undefined);
  });
  afterAll(async () => {
    await watcher.onApplicationShutdown();
    await database.drop();
  });
  beforeEach(async () => {
    await watcher?.onApplicationShutdown();
    watcher = new CredentialWatcher(unitOfWork);
    await dataSource.query(`
      TRUNCATE users CASCADE;
      INSERT INTO users (id, name, role) VALUES (1, 'ada', 'member'), (2, 'bob', 'member');
      INSERT INTO api_keys (id, user_id, name, prefix, secret_hash) VALUES (1, 1, 'k', '', 'x');
      INSERT INTO sessions (id, user_id, expires_at) VALUES (1, 1, now() + interval '1 hour')`);
  });

  const principal = (more: Partial<Principal>): Principal => ({
    userId: 1 as UserId,
    name: 'ada',
    role: 'member',
    keyId: null,
    ...more,
  });

  it.each<[string, Partial<Principal>, string]>([
    ['its user is disabled', {}, 'UPDATE users SET disabled_at = now() WHERE id = 1'],
    ['its key is revoked', { keyId: 1 as ApiKeyId }, 'UPDATE api_keys SET revoked_at = now()'],
    ['its key expires', { keyId: 1 as ApiKeyId }, 'UPDATE api_keys SET expires_at = now()'],
    ['its session ends', { sessionId: 1 as SessionId }, 'UPDATE sessions SET ended_at = now()'],
    ['its token expires', { expiresAtMs: 1_000.5 }, 'SELECT 1'],
  ])('tells, once, when %s, and of nobody else', async (_, more, sql) => {
    const ended: string[] = [];
    watcher.watch(principal(more), () => ended.push('it'));
    watcher.watch(principal({ userId: 2 as UserId }), () => ended.push('another'));
    watcher.watch(principal(more), () => ended.push('gone'))();
    await dataSource.query(sql);
    await eventually(() => (ended.length > 0 ? true : null));
    expect(ended).toEqual(['it']);
  });

  it('bears that the database is away', async () => {
    const warn = jest.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);
    let away = true;
    const moody: UnitOfWork = {
      run: (work) => unitOfWork.run(work),
      isRunning: () => unitOfWork.isRunning(),
      open: 0,
      read: (work) => (away ? Promise.reject(new Error('away')) : unitOfWork.read(work)),
    };
    const own = new CredentialWatcher(moody);
    let ended = false;
    own.watch(principal({ userId: 9 as UserId }), () => (ended = true));
    await eventually(() => (warn.mock.calls.length > 0 ? true : null));
    expect(ended).toBe(false);
    away = false;
    await eventually(() => (ended ? true : null));
    await own.onApplicationShutdown();
    warn.mockRestore();
  });
});
