import { Client } from 'pg';
import { SqlAccessPolicy } from '../../src/access/sql-access-policy.js';
import type { UserId } from '../../src/core/ids.js';
import type { Principal } from '../../src/core/principal.js';
import { EventAccess } from '../../src/events/log/event-access.js';
import { LogQuery } from '../../src/events/log/log-query.js';
import type { Bench } from '../harness/bench.js';
import { median } from '../harness/figures.js';
import { race, type Contestant } from '../harness/race.js';
import { BenchBus, newDatabase } from './bus.js';

const READER: Principal = { userId: 1 as UserId, name: 'reader', role: 'admin', keyId: null };
const PAGES = 50;

/** A page of one type in ten, from the middle of logs of different lengths. */
export const logPages = race('a page of the log from a cursor, by type', async (bench) => {
  const long = bench.quick ? 20_000 : 5_000_000;
  const short = bench.quick ? 5_000 : 50_000;
  return {
    contestants: [await reader(bench, 'Varve', long), await reader(bench, 'a short log', short)],
    comparisons: [
      { contestant: 'Varve', against: 'a short log', atLeast: 1 / 1.5, target: '≤ 1.5 times' },
    ],
    rounds: 7,
    warmUps: 1,
    figure: (seconds) => `${(seconds * 1000).toFixed(2)} ms`,
  };
});

async function reader(bench: Bench, name: string, events: number): Promise<Contestant> {
  const url = await newDatabase(bench);
  const client = new Client({ connectionString: url });
  await client.connect();
  await client.query(
    `INSERT INTO events (type, source, subject, data)
     SELECT 'bench.type' || n % 10, '/bench', 'bench/' || n % 1000, '{"n": 1}'
     FROM generate_series(1, $1::integer) n`,
    [events],
  );
  await client.query('VACUUM ANALYZE events');
  const { rows } = await client.query<{ transactionId: string; position: string }>(
    `SELECT transaction_id::text AS "transactionId", position::text FROM events
     ORDER BY transaction_id, position OFFSET $1 LIMIT 1`,
    [events / 2],
  );
  await client.end();
  const process = await BenchBus.start(url);
  bench.defer(() => process.close());
  const access = new EventAccess(new SqlAccessPolicy(), process.unitOfWork);
  const log = new LogQuery(process.unitOfWork, access);
  const [after] = rows;
  if (!after) throw new Error('an empty log');
  return {
    name,
    note: `${events.toLocaleString('en-US')} events; the median of ${PAGES} pages of 100 events of one type`,
    async run() {
      const times: number[] = [];
      for (let n = 0; n < PAGES; n++) {
        const started = performance.now();
        const selection = { patterns: ['bench.type3'], subject: null, after, limit: 100 };
        const { entries } = await log.page(READER, selection);
        times.push((performance.now() - started) / 1000);
        if (entries.length !== 100) throw new Error(`a page of ${entries.length}`);
      }
      return median(times);
    },
  };
}
