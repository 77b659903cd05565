import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { DataSource, type MigrationInterface, type QueryRunner } from 'typeorm';
import { MIGRATIONS } from '../../../migrations/index.js';
import { testDatabase, type TestDatabase } from '../../../test/database/test-database.js';
import { migrate, pendingMigrations } from './migrate.js';

const NAMES = MIGRATIONS.map(({ name }) => name);

class Extra1900000000001 implements MigrationInterface {
  readonly name = 'Extra1900000000001';
  async up(runner: QueryRunner): Promise<void> {
    await runner.query('CREATE TABLE extra (id integer)');
  }
  async down(): Promise<void> {}
}

class Broken1900000000002 implements MigrationInterface {
  readonly name = 'Broken1900000000002';
  async up(runner: QueryRunner): Promise<void> {
    await runner.query('CREATE TABLE half_way (id integer)');
    await runner.query('SELECT 1/0');
  }
  async down(): Promise<void> {}
}

describe('migrate', () => {
  let database: TestDatabase;
  let dataSource: DataSource;

  beforeAll(async () => {
    database = await testDatabase();
    dataSource = await database.open();
  });
  afterAll(() => database.drop());

  it('lets processes that start together take turns: each migration is applied once', async () => {
    await dataSource.query('DROP SCHEMA public CASCADE; CREATE SCHEMA public');
    expect(await pendingMigrations(dataSource)).toEqual(NAMES);
    const runs = await Promise.all([1, 2, 3, 4].map(() => migrate(database.url)));
    expect(runs.flatMap(({ applied }) => applied)).toEqual(NAMES);
    expect(await pendingMigrations(dataSource)).toEqual([]);
  });

  it('names the migration that failed, keeps those before it and nothing of it', async () => {
    const migrations = [...MIGRATIONS, Extra1900000000001, Broken1900000000002];
    await expect(migrate(database.url, migrations)).rejects.toThrow(
      'The migration Broken1900000000002 failed: division by zero',
    );
    expect(await pendingMigrations(dataSource, migrations)).toEqual(['Broken1900000000002']);
    expect(
      await dataSource.query(`SELECT to_regclass('extra')::text AS extra,
                                          to_regclass('half_way')::text AS half`),
    ).toEqual([{ extra: 'extra', half: null }]);
  });

  it('can be undone, the last first', async () => {
    const down = await new DataSource({
      type: 'postgres',
      url: database.url,
      migrations: MIGRATIONS,
    }).initialize();
    await down.query('DROP TABLE extra; DELETE FROM migrations WHERE name ~ $$^Extra$$');
    for (let left = MIGRATIONS.length; left > 0; left--) await down.undoLastMigration();
    const tables = `SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace
                    AND relkind IN ('r', 'S') AND relname !~ '^migrations'`;
    expect(await down.query(tables)).toEqual([]);
    await down.destroy();
  });
});
