import type { DataSource } from 'typeorm';
import { eventually } from './eventually.js';

/** Waits until no writing transaction anywhere in the cluster holds a dataset's events back from handlers. */
export async function visibleEvents(database: DataSource, dataset: number): Promise<void> {
  await eventually(async () => {
    const hidden = await database.query<object[]>(
      `SELECT FROM events WHERE subject = $1
         AND transaction_id >= pg_snapshot_xmin(pg_current_snapshot())`,
      [`dataset/${dataset}`],
    );
    return hidden.length === 0 ? true : null;
  });
}
