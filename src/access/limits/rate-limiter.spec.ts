import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { Response } from 'express';
import type { DataSource } from 'typeorm';
import { eventually } from '../../../test/builders/eventually.js';
import { testDatabase, type TestDatabase } from '../../../test/database/test-database.js';
import type { UnitOfWork } from '../../core/contracts/unit-of-work.js';
import type { ApiKeyId, SessionId, UserId } from '../../core/ids.js';
import type { Principal } from '../../core/principal.js';
import { TypeOrmUnitOfWork } from '../../platform/database/unit-of-work.js';
import { RateLimiter } from './rate-limiter.js';

describe('RateLimiter', () => {
  let database: TestDatabase;
  let dataSource: DataSource;
  let unitOfWork: UnitOfWork;
  const running: RateLimiter[] = [];
  const headers = new Map<string, string>();
  const res = {
    setHeader: (name: string, value: string) => headers.set(name, value),
  } as unknown as Response;

  beforeAll(async () => {
    database = await testDatabase();
    dataSource = await database.open();
    unitOfWork = new TypeOrmUnitOfWork(dataSource, () => undefined);
  });
  afterAll(() => database.drop());
  afterEach(async () => {
    await Promise.all(running.splice(0).map((limiter) => limiter.onApplicationShutdown()));
    await dataSource.query('TRUNCATE rate_usage');
  });

  const aLimiter = (credential: number, address = 0): RateLimiter => {
    const limiter = new RateLimiter(unitOfWork, {
      RATE_LIMIT_CREDENTIAL: credential,
      RATE_LIMIT_ADDRESS: address,
    });
    running.push(limiter);
    return limiter;
  };
  const principal = (more: Partial<Principal> = {}): Principal => ({
    userId: 1 as UserId,
    name: 'ada',
    role: 'member',
    keyId: null,
    ...more,
  });
  const isAllowed = (call: () => void): boolean => {
    try {
      call();
      return true;
    } catch {
      return false;
    }
  };

  it('holds for all replicas together, once they have told each other', async () => {
    const replicas = [aLimiter(1000), aLimiter(1000)];
    const who = principal({ keyId: 7 as ApiKeyId });
    for (const replica of replicas) {
      for (let n = 0; n < 500; n++) replica.countCredential(who, res);
      await replica.share();
    }
    // The second learnt of the first when it told of its own; the first learns by telling again.
    expect(isAllowed(() => replicas[1]!.countCredential(who, res))).toBe(false);
    for (let n = 0; n < 10; n++) replicas[0]!.countCredential(who, res);
    await replicas[0]!.share();
    expect(isAllowed(() => replicas[0]!.countCredential(who, res))).toBe(false);
    expect(headers.get('RateLimit')).toMatch(/^"credential";r=0;t=\d+$/);
    expect(headers.get('RateLimit-Policy')).toBe('"credential";q=1000;w=60');
  });

  it('counts keys, sessions, tokens and addresses each by themselves', () => {
    const limiter = aLimiter(1, 1);
    const callers = [
      principal({ keyId: 1 as ApiKeyId }),
      principal({ keyId: 2 as ApiKeyId }),
      principal({ sessionId: 1 as SessionId }),
      principal(),
    ];
    const call = () => callers.map((who) => isAllowed(() => limiter.countCredential(who, res)));
    expect(call()).toEqual([true, true, true, true]);
    expect(call()).toEqual([false, false, false, false]);
    expect(isAllowed(() => limiter.countAddress('192.0.2.1', res))).toBe(true);
    expect(isAllowed(() => limiter.countAddress('192.0.2.2', res))).toBe(true);
    expect(isAllowed(() => limiter.countAddress('192.0.2.1', res))).toBe(false);
    expect(isAllowed(() => limiter.countAddress(null, res))).toBe(true);
  });

  it.each([
    ['2001:db8:1:2::1', '2001:db8:1:2:ffff:1:2:3', false],
    ['2001:db8::1', '2001:db8:0:0:1::', false],
    ['fe80::1%eth0', 'fe80::2%eth0', false],
    ['2001:db8:1:2::1', '2001:db8:1:3::1', true],
    ['::1', '::2', false],
  ])('takes %s and %s for the same network or not', (one, other, apart) => {
    const limiter = aLimiter(0, 1);
    expect(isAllowed(() => limiter.countAddress(one, res))).toBe(true);
    expect(isAllowed(() => limiter.countAddress(other, res))).toBe(apart);
  });

  it('sets no limit where none is wanted', () => {
    const limiter = aLimiter(0);
    headers.clear();
    limiter.countCredential(principal(), res);
    limiter.countAddress('192.0.2.1', res);
    expect(headers.size).toBe(0);
  });

  it('tells by itself while it runs, and takes old windows away', async () => {
    await dataSource.query(`INSERT INTO rate_usage VALUES ('old', 0, 1)`);
    const limiter = aLimiter(10);
    limiter.onApplicationBootstrap();
    limiter.countCredential(principal(), res);
    await eventually(async () => {
      const rows = await dataSource.query<{ subject: string }[]>('SELECT subject FROM rate_usage');
      return rows.length === 1 && rows[0]!.subject === 'user 1' ? true : null;
    });
  });
});
