import type { DataSource } from 'typeorm';
import { eventually } from './eventually.js';

/** Waits until the tables of every version so far have been read, or that has failed for good. */
export async function capturedAll(database: Pick<DataSource, 'query'>): Promise<void> {
  await eventually(async () => {
    // A capture that has been done leaves no job behind.
    const [waiting] = await database.query<{ count: number }[]>(
      `SELECT ((SELECT count(*) FROM events e JOIN event_subscriptions u
           ON (e.transaction_id, e.position) > (u.transaction_id, u.position)
           WHERE u.name = 'tables.capture-schemas' AND e.type = 'dataset.version.created')
         + (SELECT count(*) FROM event_deliveries WHERE subscription = 'tables.capture-schemas')
         + (SELECT count(*) FROM jobs
            WHERE kind = 'tables.capture-schemas' AND state IN ('queued', 'running')))::integer
         AS count`,
    );
    return waiting?.count === 0 ? true : null;
  });
}
