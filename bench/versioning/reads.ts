import { inMilliseconds } from '../harness/figures.js';
import { race, type Comparison, type Contestant } from '../harness/race.js';
import { pathOf } from './filler.js';
import { histories, type Histories } from './histories.js';

const PAGE = 100;
const ROUNDS = 60;
const WARM_UPS = 5;

const common = { rounds: ROUNDS, warmUps: WARM_UPS, figure: inMilliseconds };

/** One page of a version's files. */
export const pages = race('page of 100 paths', async (bench) => {
  const all = await histories(bench);
  const { sizes } = all;
  const read = (name: string, dataset: number, ref: string): Contestant => ({
    name,
    note: `\`GET …/refs/${ref}/files?limit=${PAGE}\``,
    async run() {
      const target = `/datasets/${dataset}/refs/${ref}/files?limit=${PAGE}`;
      const { seconds, body } = await all.requests.get<{ items: unknown[] }>(target);
      if (body.items.length !== PAGE) throw new Error(`a page of ${body.items.length}`);
      return seconds;
    },
  });
  const contestants: Contestant[] = [];
  const comparisons: Comparison[] = [];
  /** Of each the head and the first version. */
  const compare = (
    ours: { name: string; dataset: number; head?: string },
    theirs: { name: string; dataset: number; head?: string },
    atMost: number,
    refs: readonly ('head' | 'first version')[] = ['head', 'first version'],
  ) => {
    for (const which of refs) {
      const [a, b] = [ours, theirs].map(({ name, dataset, head = 'main' }) =>
        read(`${name}, ${which}`, dataset, which === 'head' ? head : '1'),
      ) as [Contestant, Contestant];
      contestants.push(a, b);
      comparisons.push({ contestant: a.name, against: b.name, atMost });
    }
  };
  const of = (name: string, { dataset }: { dataset: { id: number } }, head?: string) => {
    return { name, dataset: dataset.id, head };
  };
  compare(
    of(`${count(sizes.large)} files`, all.large, 'deep'),
    of(`${count(sizes.middle)} files`, all.middle, 'deep'),
    2,
  );
  compare(of(`${count(sizes.depth)} versions`, all.deep), of('one version', all.middle), 2);
  compare(
    of(`a path rewritten ${count(sizes.depth)} times`, all.rewritten),
    of('once', all.rewrittenOnce),
    2,
  );
  compare(
    of(`${sizes.forks + 1} lineages`, { dataset: all.forked }),
    of('one lineage', { dataset: all.straight }),
    3,
  );
  compare(
    of(`${count(sizes.large - sizes.small)} of ${count(sizes.large)} removed`, all.removed),
    of(`only ever ${sizes.small}`, all.small),
    3,
    ['head'],
  );
  return { ...common, contestants, comparisons };
});

/** What one path of any version has. */
export const lookups = race('one path by name, any version', async (bench) => {
  const all = await histories(bench);
  const { sizes } = all;
  const contestant = (
    name: string,
    dataset: number,
    files: number,
    versions: number,
  ): Contestant => ({
    name,
    note: '`GET …/content?path=`, a random path of a random version',
    async run() {
      const at = pathOf(Math.floor(Math.random() * files));
      const ref = 1 + Math.floor(Math.random() * versions);
      const target = `/datasets/${dataset}/refs/${ref}/content?path=${encodeURIComponent(at)}`;
      return (await all.requests.get(target)).seconds;
    },
  });
  const [ours, theirs] = [`${count(sizes.large)} files`, `${count(sizes.small)} files`];
  return {
    ...common,
    rounds: 2 * ROUNDS,
    contestants: [
      contestant(ours, all.large.dataset.id, sizes.large, 1 + sizes.apart),
      contestant(theirs, all.small.dataset.id, sizes.small, 1),
    ],
    comparisons: [{ contestant: ours, against: theirs, atMost: 1.5 }],
  };
});

/** What differs between two versions that are far apart. */
export const differences = race(
  'diff of 100 changed paths, 5,000 versions apart',
  async (bench) => {
    const all = await histories(bench);
    const { sizes } = all;
    const contestant = (name: string, dataset: number): Contestant => ({
      name,
      note: '`GET …/compare` of the first version with the head of a branch',
      async run() {
        const target = `/datasets/${dataset}/compare?base=1&head=deep&limit=1000`;
        const { seconds, body } = await all.requests.get<{ items: unknown[] }>(target);
        if (body.items.length !== sizes.differing)
          throw new Error(`${body.items.length} differences`);
        return seconds;
      },
    });
    const [ours, theirs] = [`${count(sizes.large)} files`, `${count(sizes.middle)} files`];
    return {
      ...common,
      rounds: 20,
      contestants: [
        contestant(ours, all.large.dataset.id),
        contestant(theirs, all.middle.dataset.id),
      ],
      comparisons: [{ contestant: ours, against: theirs, atMost: 2 }],
    };
  },
);

/** A new branch. */
export const branches = race('create a branch', async (bench) => {
  const all = await histories(bench);
  const { sizes } = all;
  const contestant = (name: string, { dataset }: Histories['large']): Contestant => ({
    name,
    note: '`POST …/branches` from `main`; durable',
    async run() {
      const target = `/datasets/${dataset.id}/branches`;
      const body = { name: `branch-${bench.nextStamp()}`, from: 'main' };
      return (await all.requests.post(target, body)).seconds;
    },
  });
  const [ours, theirs] = [`${count(sizes.large)} files`, `${count(sizes.small)} files`];
  return {
    ...common,
    rounds: 2 * ROUNDS,
    contestants: [contestant(ours, all.large), contestant(theirs, all.small)],
    comparisons: [{ contestant: ours, against: theirs, atMost: 1.2 }],
  };
});

export function count(value: number): string {
  return value.toLocaleString('en-US');
}
