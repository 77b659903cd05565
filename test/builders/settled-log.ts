import type { DataSource } from 'typeorm';
import { eventually } from './eventually.js';

/**
 * Waits until the log tells all that has been committed so far: a transaction that still runs, in any
 * database of the cluster, holds what is younger back.
 */
export async function settledLog(database: Pick<DataSource, 'query'>): Promise<void> {
  await eventually(async () => {
    const held = await database.query<object[]>(
      'SELECT FROM events WHERE transaction_id >= pg_snapshot_xmin(pg_current_snapshot()) LIMIT 1',
    );
    return held.length === 0 ? true : null;
  });
}
