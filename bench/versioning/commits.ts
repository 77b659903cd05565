import { setTimeout as sleep } from 'node:timers/promises';
import { inMilliseconds } from '../harness/figures.js';
import { race, type Contestant } from '../harness/race.js';
import { BareCommit } from './bare-commit.js';
import { histories, type History } from './histories.js';
import { count } from './reads.js';

const BARE = 'its bare SQL';

/** In this time the server does what the last commit set off: indexing it, looking for tables in it. */
const PAUSE_MS = 75;

/** One path put anew, by a commit. */
export const commits = race('commit one changed path', async (bench) => {
  const all = await histories(bench);
  const { sizes, filler } = all;
  const contestant = (name: string, { dataset }: History, files: number): Contestant => ({
    name,
    note: `\`POST …/versions\` with one operation, ${PAUSE_MS} ms after the last`,
    async run() {
      await sleep(PAUSE_MS);
      const body = { message: 'm', operations: [filler.nextChange(dataset, files)] };
      return (await all.requests.post(`/datasets/${dataset.id}/versions`, body)).seconds;
    },
  });
  const bare = await filler.dataset('bare');
  await filler.firstVersion(bare, sizes.small);
  const bareCommit = new BareCommit(all.database, bare);
  const [large, small] = [`${count(sizes.large)} files`, `${count(sizes.small)} files`];
  const [deep, flat] = [`history ${count(sizes.depth)} deep`, '1 deep'];
  return {
    contestants: [
      contestant(large, all.large, sizes.large),
      contestant(small, all.small, sizes.small),
      contestant(deep, all.deep, sizes.middle),
      contestant(flat, all.middle, sizes.middle),
      {
        name: BARE,
        note: 'the statements that it cannot do without, over one connection, synced by its COMMIT; no document',
        async run() {
          await sleep(PAUSE_MS);
          return bareCommit.run(filler.nextChange(bare, sizes.small));
        },
      },
    ],
    comparisons: [
      { contestant: large, against: small, atMost: 1.5 },
      { contestant: deep, against: flat, atMost: 1.5 },
      { contestant: small, against: BARE, atMost: 3 },
    ],
    rounds: 100,
    warmUps: 5,
    figure: inMilliseconds,
  };
});
