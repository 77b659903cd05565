import { once } from 'node:events';
import { Client } from 'pg';
import type { Bench } from '../harness/bench.js';
import { median } from '../harness/figures.js';
import type { Contestant } from '../harness/race.js';

/** What anybody who is woken by PostgreSQL waits for at the least. */
export const ROUND_TRIP = 'a bare LISTEN/NOTIFY round trip';

/** A notification from one connection to another. @param count of how many a round gives the median */
export async function roundTrip(
  bench: Bench,
  databaseUrl: string,
  count: number,
): Promise<Contestant> {
  const listening = new Client({ connectionString: databaseUrl });
  const notifying = new Client({ connectionString: databaseUrl });
  await Promise.all([listening.connect(), notifying.connect()]);
  bench.defer(async () => {
    await Promise.all([listening.end(), notifying.end()]);
  });
  await listening.query('LISTEN bench');
  return {
    name: ROUND_TRIP,
    note: `the median of ${count}, from one connection to another`,
    async run() {
      const times: number[] = [];
      for (let n = 0; n < count; n++) {
        const heard = once(listening, 'notification');
        const started = performance.now();
        await notifying.query('NOTIFY bench');
        await heard;
        times.push((performance.now() - started) / 1000);
      }
      return median(times);
    },
  };
}
