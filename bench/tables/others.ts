import { availableParallelism } from 'node:os';
import { inMilliseconds } from '../harness/figures.js';
import { race } from '../harness/race.js';
import type { Varve } from '../harness/varve.js';
import { storeTables, tableData } from './data.js';

/** How long is looked at the server where nothing else is done. */
const IDLE_MS = 4000;

/** What somebody else feels of a profile. */
export const others = race('p99 of other requests while a profile runs', async (bench) => {
  const { parquet } = await tableData(bench);
  // A core stays free: workers compute on all but one.
  const threads = String(Math.max(1, availableParallelism() - 1));
  const varve = await bench.startVarve('others', { TABLE_WORKER_THREADS: threads });
  const dataset = await storeTables(varve, await bench.client(), { parquet });
  return {
    contestants: [
      {
        name: 'Varve',
        note: `GET of a dataset, one after the other, for as long as the profile of a 200 MB Parquet file takes; TABLE_WORKER_THREADS=${threads}`,
        run: () =>
          p99(
            varve,
            dataset,
            varve.call('GET', `/datasets/${dataset}/refs/main/profile?path=big.parquet`),
          ),
      },
      {
        name: 'Varve, nothing else to do',
        note: `the same requests for ${IDLE_MS / 1000} s`,
        run: () => p99(varve, dataset, new Promise((resolve) => setTimeout(resolve, IDLE_MS))),
      },
    ],
    comparisons: [{ contestant: 'Varve', against: 'Varve, nothing else to do', atMost: 2 }],
    rounds: 3,
    warmUps: 1,
    figure: inMilliseconds,
  };
});

/** The seconds that 99 of 100 requests stay below, until something is over. */
async function p99(varve: Varve, dataset: number, until: Promise<unknown>): Promise<number> {
  let isOver = false;
  const over = until.finally(() => (isOver = true));
  const seconds: number[] = [];
  while (!isOver) {
    const begun = performance.now();
    await varve.call('GET', `/datasets/${dataset}`);
    seconds.push((performance.now() - begun) / 1000);
  }
  await over;
  seconds.sort((a, b) => a - b);
  return seconds[Math.ceil(seconds.length * 0.99) - 1] ?? 0;
}
