import type { Client } from 'pg';

/**
 * Runs statements that fill tables with many rows, as a restore does: triggers and foreign keys are
 * not asked, and indexes that no constraint needs are made afterwards, from their own definitions.
 * @param database a superuser's connection: nobody else may pass the triggers by
 */
export async function fill(
  database: Client,
  tables: readonly string[],
  statements: readonly string[],
): Promise<void> {
  const { rows } = await database.query<{ name: string; definition: string }>(
    `SELECT indexrelid::regclass::text AS name, pg_get_indexdef(indexrelid) AS definition
     FROM pg_index WHERE indrelid = ANY($1::regclass[])
       AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = indexrelid)`,
    [tables],
  );
  for (const statement of [
    `SET session_replication_role = replica; SET synchronous_commit = off;
     SET maintenance_work_mem = '512MB'`,
    ...rows.map(({ name }) => `DROP INDEX ${name}`),
    ...statements,
    ...rows.map(({ definition }) => definition),
    'RESET session_replication_role; RESET synchronous_commit; RESET maintenance_work_mem',
    'VACUUM ANALYZE',
  ]) {
    await database.query(statement);
  }
}
