import { inMilliseconds } from '../harness/figures.js';
import { race, type Contestant } from '../harness/race.js';
import { BareCommit } from './bare-commit.js';
import { pathOf } from './filler.js';
import { histories } from './histories.js';
import { count } from './reads.js';

const BARE = 'its bare SQL';

/** One path put anew, by a commit. */
export const commits = race('commit one changed path', async (bench) => {
  const all = await histories(bench);
  const { sizes, filler } = all;
  let turn = 0;
  const contestant = (name: string, { dataset, files }: Committed): Contestant => ({
    name,
    note: '`POST …/versions` with one operation',
    async run() {
      const fileId = filler.content((turn += 1)).id;
      const operations = [{ op: 'put', path: pathOf((turn * 7919) % files), fileId }];
      const body = { message: 'm', operations };
      return (await all.requests.post(`/datasets/${dataset}/versions`, body)).seconds;
    },
  });
  const bare = await filler.dataset('bare');
  await filler.firstVersion(bare, sizes.small);
  const bareCommit = new BareCommit(all.database, bare);
  const [large, small] = [`${count(sizes.large)} files`, `${count(sizes.small)} files`];
  const [deep, flat] = [`history ${count(sizes.depth)} deep`, '1 deep'];
  return {
    contestants: [
      contestant(large, { dataset: all.large.dataset.id, files: sizes.large }),
      contestant(small, { dataset: all.small.dataset.id, files: sizes.small }),
      contestant(deep, { dataset: all.deep.dataset.id, files: sizes.middle }),
      contestant(flat, { dataset: all.middle.dataset.id, files: sizes.middle }),
      {
        name: BARE,
        note: 'the statements that it cannot do without, over one connection, synced by its COMMIT; no document',
        run: () => {
          turn += 1;
          return bareCommit.run((turn * 7919) % sizes.small, filler.content(turn));
        },
      },
    ],
    comparisons: [
      { contestant: large, against: small, atMost: 1.5 },
      { contestant: deep, against: flat, atMost: 1.5 },
      { contestant: small, against: BARE, atMost: 3 },
    ],
    rounds: 120,
    warmUps: 10,
    figure: inMilliseconds,
  };
});

interface Committed {
  readonly dataset: number;
  readonly files: number;
}
