import { once } from 'node:events';
import { Client } from 'pg';
import { median } from '../harness/figures.js';
import { race } from '../harness/race.js';
import { anEvent, BenchBus, newDatabase } from './bus.js';

/** From the commit to the handler of a durable subscription in the same process. */
export const latency = race('commit to handler', async (bench) => {
  const count = bench.quick ? 5 : 200;
  const url = await newDatabase(bench);
  const process = await BenchBus.start(url);
  const [listening, notifying] = [1, 2].map(() => new Client({ connectionString: url }));
  if (!listening || !notifying) throw new Error('two connections');
  await Promise.all([listening.connect(), notifying.connect()]);
  await listening.query('LISTEN bench');
  bench.defer(async () => {
    await Promise.all([process.close(), listening.end(), notifying.end()]);
  });
  let told: () => void = () => undefined;
  process.bus.subscribe('**', () => told(), { name: 'bench.latency', durable: true });
  // The first is told once the subscription has its lease.
  const first = new Promise<void>((resolve) => (told = resolve));
  await process.publish(1);
  await first;
  return {
    contestants: [
      {
        name: 'Varve',
        note: `the median of ${count} commits; from the moment the commit is confirmed`,
        async run() {
          const times: number[] = [];
          for (let n = 0; n < count; n++) {
            const handled = new Promise<void>((resolve) => (told = resolve));
            await process.unitOfWork.run((tx) => process.bus.publishAll(tx, [anEvent(n)]));
            const committed = performance.now();
            await handled;
            times.push((performance.now() - committed) / 1000);
          }
          return median(times);
        },
      },
      {
        name: 'a bare LISTEN/NOTIFY round trip',
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
      },
    ],
    comparisons: [
      {
        contestant: 'Varve',
        against: 'a bare LISTEN/NOTIFY round trip',
        atLeast: 1 / 3,
        target: '≤ 3 times',
      },
    ],
    rounds: 5,
    warmUps: 1,
    figure: (seconds) => `${(seconds * 1000).toFixed(2)} ms`,
  };
});
