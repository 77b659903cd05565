import { Logger, runMigrations } from 'graphile-worker';
import { openJobPool } from './job-pool.js';

/** What goes wrong is thrown; the rest need not be told. */
const silent = new Logger(() => () => undefined);

/**
 * Brings graphile-worker's own schema up to date. Belongs under the lock that all migrations run
 * under.
 */
export async function migrateJobQueue(url: string): Promise<void> {
  const pool = openJobPool(url, 1);
  try {
    await runMigrations({ pgPool: pool, logger: silent });
  } finally {
    await pool.end();
  }
}
