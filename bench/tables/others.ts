import { availableParallelism } from 'node:os';
import { inMilliseconds } from '../harness/figures.js';
import { race } from '../harness/race.js';
import { storeTables, tableData } from './data.js';

/** How long is looked at the server where nothing else is done. */
const IDLE_MS = 4000;

/** What somebody else feels of a profile. */
export const others = race('p99 of other requests while a profile runs', async (bench) => {
  const { parquet } = await tableData(bench);
  // A core stays free: workers compute on all but one.
  const threads = String(Math.max(1, availableParallelism() - 1));
  const varve = await bench.startVarve('others', { TABLE_WORKER_THREADS: threads });
  const client = await bench.client();
  const dataset = await storeTables(varve, client, { parquet });
  const p99 = (until: Promise<unknown>) =>
    client.p99(varve.port, varve.head('GET', `/datasets/${dataset}`), until);
  return {
    contestants: [
      {
        name: 'Varve',
        note: `GET of a dataset, one after the other, for as long as the profile of a 200 MB Parquet file takes; TABLE_WORKER_THREADS=${threads}`,
        run: () =>
          p99(varve.call('GET', `/datasets/${dataset}/refs/main/profile?path=big.parquet`)),
      },
      {
        name: 'Varve, nothing else to do',
        note: `the same requests for ${IDLE_MS / 1000} s`,
        run: () => p99(new Promise((resolve) => setTimeout(resolve, IDLE_MS))),
      },
    ],
    comparisons: [{ contestant: 'Varve', against: 'Varve, nothing else to do', atMost: 2 }],
    rounds: 3,
    warmUps: 1,
    figure: inMilliseconds,
  };
});
