import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { MIGRATIONS } from '../../migrations/index.js';
import { testDatabase, type TestDatabase } from './test-database.js';

describe('testDatabase', () => {
  let databases: TestDatabase[];

  beforeAll(async () => {
    databases = await Promise.all([testDatabase(), testDatabase(), testDatabase()]);
  });
  afterAll(() => Promise.all(databases.map((database) => database.drop())));

  it('gives each caller a migrated database of its own', async () => {
    const [one, other] = await Promise.all(databases.map((database) => database.open()));
    await one!.query(`INSERT INTO users (name, role) VALUES ('ann', 'admin')`);
    expect(await other!.query('SELECT name FROM users')).toEqual([]);
    expect(await other!.query('SELECT count(*)::int AS applied FROM migrations')).toEqual([
      { applied: MIGRATIONS.length },
    ]);
  });
});
