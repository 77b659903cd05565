import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { DataSource } from 'typeorm';
import { testDatabase, type TestDatabase } from '../../../test/database/test-database.js';
import { TypeOrmUnitOfWork } from '../../platform/database/unit-of-work.js';
import { AuditChain } from './audit-chain.js';

const DAY_MS = 86_400_000;

describe('AuditChain', () => {
  let database: TestDatabase;
  let dataSource: DataSource;
  let chain: AuditChain;

  beforeAll(async () => {
    database = await testDatabase();
    dataSource = await database.open();
    const unitOfWork = new TypeOrmUnitOfWork(dataSource, (error) => {
      throw error;
    });
    chain = new AuditChain(unitOfWork, { AUDIT_RETENTION: 30 * DAY_MS });
  });
  afterAll(() => database.drop());
  beforeEach(() => behindItsBack('DELETE FROM audit_log; DELETE FROM audit_trims'));

  /** As somebody who owns the database could do it. */
  const behindItsBack = (sql: string) =>
    dataSource.query(`
      ALTER TABLE audit_log DISABLE TRIGGER USER; ${sql}; ALTER TABLE audit_log ENABLE TRIGGER USER`);
  const write = (count: number, daysAgo = 0) =>
    dataSource.query(
      `INSERT INTO audit_log (action, actor_id, at, after)
       SELECT 'test.done', n, now() - $2 * interval '1 day', jsonb_build_object('n', n)
       FROM generate_series(1, $1::integer) n`,
      [count, daysAgo],
    );
  const verify = (limit = 100_000) => chain.verify(null, limit);

  it('is sound while nobody tampers with it, whoever seals at the same moment', async () => {
    await write(30);
    await Promise.all([chain.seal(), chain.seal(), write(20)]);
    await chain.seal();
    expect(await verify()).toMatchObject({
      valid: true,
      checked: 50,
      complete: true,
      last: { seq: 50 },
      broken: null,
    });
    expect(await chain.verify(null, 20)).toMatchObject({ checked: 20, complete: false });
  });

  it('has nothing to check where nothing happened', async () => {
    expect(await verify()).toMatchObject({ valid: true, checked: 0, last: null, complete: true });
  });

  it('goes on behind an entry whose hash is known, and misses it where it is gone', async () => {
    await write(10);
    await chain.seal();
    const { last } = await chain.verify(null, 4);
    expect(last?.seq).toBe(4);
    expect(await chain.verify(last, 100)).toMatchObject({ valid: true, checked: 6 });
    expect(await chain.verify({ seq: 4, hash: 'f'.repeat(64) }, 100)).toMatchObject({
      valid: false,
      broken: { seq: 4 },
    });
    const end = (await verify()).last;
    await behindItsBack('DELETE FROM audit_log WHERE seq > 8');
    expect((await verify()).valid).toBe(true);
    expect(await chain.verify(end, 100)).toMatchObject({ valid: false, broken: { seq: 10 } });
  });

  it.each([
    ['changed', `UPDATE audit_log SET actor_id = 99 WHERE seq = 3`, 3],
    ['taken out', `DELETE FROM audit_log WHERE seq = 3`, 3],
    [
      'exchanged',
      `UPDATE audit_log SET seq = -seq WHERE seq IN (3, 4);
       UPDATE audit_log SET seq = 7 + seq WHERE seq < 0`,
      3,
    ],
    [
      'changed and sealed anew',
      `UPDATE audit_log SET actor_id = 99 WHERE seq = 3;
       UPDATE audit_log a SET hash = audit_digest(a, a.seq, a.previous_hash) WHERE seq = 3`,
      4,
    ],
    ['taken off its beginning', `DELETE FROM audit_log WHERE seq <= 2`, 1],
  ])('shows where an entry was %s', async (_, tampering, at) => {
    await write(6);
    await chain.seal();
    await behindItsBack(tampering);
    expect(await verify()).toMatchObject({ valid: false, broken: { seq: at } });
  });

  it.each([
    'UPDATE audit_log SET actor_id = 99',
    'UPDATE audit_log SET hash = NULL, seq = NULL, previous_hash = NULL',
    'DELETE FROM audit_log',
    'TRUNCATE audit_log',
  ])('refuses %s', async (sql) => {
    await write(2);
    await chain.seal();
    await expect(dataSource.query(sql)).rejects.toThrow('append-only');
    expect(await verify()).toMatchObject({ valid: true, checked: 2 });
  });

  it('refuses to change an entry while it is given its place', async () => {
    await write(1);
    await expect(
      dataSource.query(`UPDATE audit_log SET actor_id = 9, seq = 1, previous_hash = '', hash = ''`),
    ).rejects.toThrow('append-only');
  });

  it('lets go of what is older than is kept, and stays sound from there on', async () => {
    await write(5, 40);
    await write(3, 20);
    await chain.seal();
    await chain.trim();
    const rows = await dataSource.query<object[]>('SELECT FROM audit_log');
    expect(rows).toHaveLength(3);
    expect(await verify()).toMatchObject({ valid: true, checked: 3, last: { seq: 8 } });
    await behindItsBack('DELETE FROM audit_log WHERE seq = 6');
    expect(await verify()).toMatchObject({ valid: false, broken: { seq: 6 } });
    await behindItsBack('DELETE FROM audit_log');
    await write(1);
    await chain.seal();
    expect(await verify()).toMatchObject({ valid: true, checked: 1, last: { seq: 6 } });
  });
});
