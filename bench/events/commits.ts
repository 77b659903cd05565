import { inSeconds } from '../harness/figures.js';
import { race, type Contestant } from '../harness/race.js';
import { anEvent, BenchBus, newDatabase } from './bus.js';

/** What publishing adds to a commit that writes a row. */
export const commits = race('a commit that publishes', async (bench) => {
  const count = bench.quick ? 20 : 300;
  const process = await BenchBus.start(await newDatabase(bench));
  bench.defer(() => process.close());
  await process.unitOfWork.run((tx) =>
    tx.query('CREATE TABLE work (id serial PRIMARY KEY, n int)'),
  );
  const contestant = (name: string, publishes: boolean): Contestant => ({
    name,
    note: `${count} transactions, one after the other; each is on the disk before the next`,
    async run() {
      const started = performance.now();
      for (let n = 0; n < count; n++) {
        await process.unitOfWork.run(async (tx) => {
          await tx.query('INSERT INTO work (n) VALUES ($1)', [n]);
          if (publishes) await process.bus.publishAll(tx, [anEvent(n)]);
        });
      }
      return (performance.now() - started) / 1000;
    },
  });
  return {
    contestants: [contestant('Varve', true), contestant('the same without publishing', false)],
    comparisons: [
      {
        contestant: 'Varve',
        against: 'the same without publishing',
        atLeast: 1 / 1.25,
        target: '≤ 1.25 times its time',
      },
    ],
    rounds: 7,
    warmUps: 1,
    figure: inSeconds,
  };
});
