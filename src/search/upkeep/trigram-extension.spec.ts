import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { Client, DatabaseError } from 'pg';
import { DataSource, QueryFailedError, type QueryRunner } from 'typeorm';
import { testDatabase, type TestDatabase } from '../../../test/database/test-database.js';
import { Search1763600000070 } from '../../../migrations/1763600000070-search.js';

describe('a database without pg_trgm', () => {
  const role = `nobody_${randomBytes(6).toString('hex')}`;
  let database: TestDatabase;
  let owner: Client;

  beforeAll(async () => {
    database = await testDatabase();
    owner = new Client({ connectionString: database.url });
    await owner.connect();
    await owner.query(`
      DROP EXTENSION pg_trgm CASCADE;
      CREATE ROLE ${role} LOGIN PASSWORD 'nothing';
      GRANT CREATE, USAGE ON SCHEMA public TO ${role}`);
  });
  afterAll(async () => {
    await owner.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
    await owner.end();
    await database.drop();
  });

  it('is refused where the user may not create it, with what to run', async () => {
    const url = Object.assign(new URL(database.url), { username: role, password: 'nothing' }).href;
    const dataSource = await new DataSource({ type: 'postgres', url }).initialize();
    try {
      await expect(new Search1763600000070().up(dataSource.createQueryRunner())).rejects.toThrow(
        'searching needs the extension pg_trgm, which this user may not create; run ' +
          '"CREATE EXTENSION pg_trgm" in this database as its owner or a superuser, and start again.',
      );
    } finally {
      await dataSource.destroy();
    }
  });

  // No PostgreSQL without its contrib modules can be had here.
  it.each(['0A000', '58P01', 'XX000'])(
    'is refused where the server has none (%s)',
    async (code) => {
      const failure = Object.assign(new DatabaseError('no such file', 0, 'error'), { code });
      const runner = {
        query: () => Promise.reject(new QueryFailedError('CREATE EXTENSION', [], failure)),
      } as unknown as QueryRunner;
      await expect(new Search1763600000070().up(runner)).rejects.toThrow(
        code === 'XX000'
          ? 'no such file'
          : /pg_trgm, which this PostgreSQL server does not have; install/,
      );
    },
  );
});
