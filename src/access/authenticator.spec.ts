import { afterAll, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import type { DataSource } from 'typeorm';
import { authenticatorOn } from '../../test/builders/access.js';
import { testDatabase, type TestDatabase } from '../../test/database/test-database.js';
import type { UnitOfWork } from '../core/contracts/unit-of-work.js';
import { TypeOrmUnitOfWork } from '../platform/database/unit-of-work.js';
import { hashSecret } from './key-secret.js';

const SECRET = 'varve_a-secret';

describe('Authenticator', () => {
  let database: TestDatabase;
  let dataSource: DataSource;
  let unitOfWork: UnitOfWork;
  let now: number;

  beforeAll(async () => {
    database = await testDatabase();
    dataSource = await database.open();
    unitOfWork = new TypeOrmUnitOfWork(dataSource, () => undefined);
    jest.spyOn(performance, 'now').mockImplementation(() => now);
  });
  afterAll(async () => {
    jest.restoreAllMocks();
    await database.drop();
  });
  beforeEach(async () => {
    now = 1_000_000;
    await dataSource.query('TRUNCATE users CASCADE');
    await dataSource.query(`INSERT INTO users (id, name, role) VALUES (1, 'ada', 'member')`);
    await dataSource.query(
      `INSERT INTO api_keys (id, user_id, name, prefix, secret_hash) VALUES (1, 1, 'key', '', $1)`,
      [hashSecret(SECRET)],
    );
  });

  const revoke = () => dataSource.query('UPDATE api_keys SET revoked_at = now()');
  const lastUse = async () => {
    const [row] = await dataSource.query<{ last_used_at: Date | null }[]>(
      'SELECT last_used_at FROM api_keys',
    );
    return row!.last_used_at;
  };

  it('shuts out a key that another replica has revoked, within half a second', async () => {
    const authenticator = authenticatorOn(unitOfWork);
    expect(await authenticator.authenticate(SECRET)).not.toBeNull();
    await revoke();
    now += 499;
    expect(await authenticator.authenticate(SECRET)).not.toBeNull();
    now += 1;
    expect(await authenticator.authenticate(SECRET)).toBeNull();
  });

  it('shuts out at once what this process has revoked, but not before that is committed', async () => {
    const authenticator = authenticatorOn(unitOfWork);
    await authenticator.authenticate(SECRET);
    await unitOfWork.run(async (tx) => {
      await tx.query('UPDATE api_keys SET revoked_at = now()');
      authenticator.forgetAfterCommit(tx);
    });
    expect(await authenticator.authenticate(SECRET)).toBeNull();
  });

  it('asks the database once for requests that come together', async () => {
    const read = jest.spyOn(unitOfWork, 'read');
    const authenticator = authenticatorOn(unitOfWork);
    await Promise.all(Array.from({ length: 20 }, () => authenticator.authenticate(SECRET)));
    expect(read).toHaveBeenCalledTimes(1);
    read.mockRestore();
  });

  it('remembers no guess: a key works from the moment it exists', async () => {
    const authenticator = authenticatorOn(unitOfWork);
    expect(await authenticator.authenticate('varve_new')).toBeNull();
    await dataSource.query(`UPDATE api_keys SET secret_hash = $1`, [hashSecret('varve_new')]);
    expect(await authenticator.authenticate('varve_new')).not.toBeNull();
  });

  it('asks again after the database was away', async () => {
    const read = jest.spyOn(unitOfWork, 'read').mockRejectedValueOnce(new Error('away'));
    const authenticator = authenticatorOn(unitOfWork);
    await expect(authenticator.authenticate(SECRET)).rejects.toThrow('away');
    expect(await authenticator.authenticate(SECRET)).not.toBeNull();
    read.mockRestore();
  });

  it('records the use of a key to the minute', async () => {
    const use = () => authenticatorOn(unitOfWork).authenticate(SECRET);
    await use();
    const first = await lastUse();
    expect(first).not.toBeNull();
    await use();
    expect(await lastUse()).toEqual(first);
    await dataSource.query(`UPDATE api_keys SET last_used_at = now() - interval '61 seconds'`);
    await use();
    expect((await lastUse())!.getTime()).toBeGreaterThanOrEqual(first!.getTime());
  });

  it('lets the owner in where the use cannot be recorded', async () => {
    const warn = jest.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);
    const run = jest.spyOn(unitOfWork, 'run').mockRejectedValueOnce(new Error('read-only'));
    expect(await authenticatorOn(unitOfWork).authenticate(SECRET)).toMatchObject({ userId: 1 });
    expect(run).toHaveBeenCalledTimes(1);
    expect(warn).toHaveBeenCalled();
    warn.mockRestore();
    run.mockRestore();
  });
});
