import { CannotStart } from '../../core/cannot-start.js';
import { Client } from 'pg';
import { DataSource, type Logger, type MigrationInterface } from 'typeorm';
import { MIGRATIONS } from '../../../migrations/index.js';
import { migrateJobQueue } from '../jobs/queue-schema.js';

type MigrationClass = new () => MigrationInterface;

/** Names the session lock that a migrating process holds: any number, but always this one. */
const MIGRATION_LOCK = 7_627_178_301;

/** A migration that could not be applied; what it had done is rolled back. */
export class MigrationFailed extends CannotStart {
  override readonly name = 'MigrationFailed';

  constructor(
    readonly migration: string,
    cause: unknown,
  ) {
    super(`The migration ${migration} failed: ${(cause as Error).message}`, { cause });
  }
}

/**
 * Runs the migrations that have not run, each in a transaction. Processes that start together
 * take turns: the later ones find nothing left to do.
 * @param url of the database
 * @returns the names of those applied now
 * @throws MigrationFailed
 */
export async function migrate(
  url: string,
  migrations: readonly MigrationClass[] = MIGRATIONS,
): Promise<{ applied: string[] }> {
  // The lock has a connection of its own: it ends with the process, however that ends.
  const lock = new Client({ connectionString: url, application_name: 'varve migrate' });
  // A connection that is lost fails the next query on it; without a listener it would throw here.
  lock.on('error', () => undefined);
  await lock.connect();
  try {
    await lock.query('SELECT pg_advisory_lock($1)', [MIGRATION_LOCK]);
    // graphile-worker keeps its own schema; it is not among the names.
    await migrateJobQueue(url);
    return { applied: await applyTo(url, migrations) };
  } finally {
    await lock.end();
  }
}

async function applyTo(url: string, migrations: readonly MigrationClass[]): Promise<string[]> {
  const dataSource = await new DataSource({
    type: 'postgres',
    url,
    migrations: [...migrations],
    applicationName: 'varve migrate',
    poolSize: 1,
    logger: SILENT,
  }).initialize();
  try {
    const applied = await dataSource.runMigrations({ transaction: 'each' });
    return applied.map(({ name }) => name);
  } catch (cause) {
    const [failed] = await pendingMigrations(dataSource, migrations);
    throw failed === undefined ? cause : new MigrationFailed(failed, cause);
  } finally {
    await dataSource.destroy();
  }
}

/** The names of the migrations that this release has and the database has not, in order. */
export async function pendingMigrations(
  dataSource: DataSource,
  migrations: readonly MigrationClass[] = MIGRATIONS,
): Promise<string[]> {
  const [table] = await dataSource.query<{ exists: boolean }[]>(
    `SELECT to_regclass('migrations') IS NOT NULL AS exists`,
  );
  const rows = table?.exists
    ? await dataSource.query<{ name: string }[]>('SELECT name FROM migrations')
    : [];
  const applied = new Set(rows.map(({ name }) => name));
  return migrations.map(({ name }) => name).filter((name) => !applied.has(name));
}

/** TypeORM prints a failed migration whatever it is told; here the error says it all. */
const SILENT: Logger = {
  logQuery: () => undefined,
  logQueryError: () => undefined,
  logQuerySlow: () => undefined,
  logSchemaBuild: () => undefined,
  logMigration: () => undefined,
  log: () => undefined,
};
