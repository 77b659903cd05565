import type { Bench } from '../harness/bench.js';
import { race, type Contestant } from '../harness/race.js';
import { pathOf } from './filler.js';
import { histories } from './histories.js';
import { count } from './reads.js';

/** What stays of a dataset whose files are removed. */
const KEPT = 100;

const inMicroseconds = (seconds: number): string => `${(seconds * 1e6).toFixed(0)} µs`;

/** Nearly all files of a dataset removed by one commit, which starts the lineage afresh. */
export const removals = race('remove all but 100 files with one commit, a path', async (bench) => {
  const { small, large } = bench.quick
    ? { small: 1000, large: 5000 }
    : { small: 5000, large: 50_000 };
  const [ours, theirs] = [`${count(large)} files`, `${count(small)} files`];
  return {
    contestants: [removing(bench, ours, large), removing(bench, theirs, small)],
    comparisons: [{ contestant: ours, against: theirs, atMost: 1.5 }],
    rounds: 3,
    warmUps: 0,
    figure: inMicroseconds,
  };
});

function removing(bench: Bench, name: string, files: number): Contestant {
  return {
    name,
    note: '`POST …/versions` with an operation for each path; the time of one path',
    async run({ stamp }) {
      const { filler, requests } = await histories(bench);
      const dataset = await filler.dataset(`removed-${files}-${stamp}`);
      await filler.firstVersion(dataset, files);
      const removed = files - KEPT;
      const operations = Array.from({ length: removed }, (_, i) => ({
        op: 'remove',
        path: pathOf(i),
      }));
      const target = `/datasets/${dataset.id}/versions`;
      return (await requests.post(target, { message: 'm', operations })).seconds / removed;
    },
  };
}
