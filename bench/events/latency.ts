import { median } from '../harness/figures.js';
import { race } from '../harness/race.js';
import { anEvent, BenchBus, newDatabase } from './bus.js';
import { ROUND_TRIP, roundTrip } from './round-trip.js';

/** From the commit to the handler of a durable subscription in the same process. */
export const latency = race('commit to handler', async (bench) => {
  const count = bench.quick ? 5 : 200;
  const url = await newDatabase(bench);
  const process = await BenchBus.start(url);
  bench.defer(() => process.close());
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
      await roundTrip(bench, url, count),
    ],
    comparisons: [
      {
        contestant: 'Varve',
        against: ROUND_TRIP,
        atLeast: 1 / 3,
        target: '≤ 3 times',
      },
    ],
    rounds: 5,
    warmUps: 1,
    figure: (seconds) => `${(seconds * 1000).toFixed(2)} ms`,
  };
});
