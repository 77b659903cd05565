import type { Client } from 'pg';
import type { Bench } from '../harness/bench.js';
import type { Varve } from '../harness/varve.js';
import { FilledRows } from './filled-rows.js';
import { Filler, pathOf, type FilledDataset, type Head } from './filler.js';
import { requireLikeness } from './likeness.js';
import { TimedRequests } from './timed-requests.js';

/** A dataset with the heads of its branches. */
export interface History {
  readonly dataset: FilledDataset;
  readonly main: Head;
  /** The head of `deep`, where it has that branch: many versions above the first one. */
  readonly deep: Head | null;
}

/** How large things are: as the cost laws say, or small enough to try. */
export interface Sizes {
  readonly large: number;
  readonly middle: number;
  readonly small: number;
  /** Versions above the first one, where a history is deep. */
  readonly depth: number;
  /** Versions between two that are compared, and the paths that they changed. */
  readonly apart: number;
  readonly differing: number;
  /** Forks that a history with many lineages has behind it. */
  readonly forks: number;
}

const FULL: Sizes = {
  large: 1_000_000,
  middle: 10_000,
  small: 100,
  depth: 10_000,
  apart: 5_000,
  differing: 100,
  forks: 63,
};
const QUICK: Sizes = {
  large: 20_000,
  middle: 2_000,
  small: 100,
  depth: 300,
  apart: 300,
  differing: 20,
  forks: 12,
};

/** One server with all the histories that the cost laws speak of. */
export interface Histories {
  readonly varve: Varve;
  readonly requests: TimedRequests;
  readonly database: Client;
  readonly filler: Filler;
  readonly sizes: Sizes;
  /** As many files as the name says; the first two have a branch `deep` as well. */
  readonly large: History;
  readonly middle: History;
  readonly small: History;
  /** Each version put another path anew. */
  readonly deep: History;
  /** One path was put anew by each version; beside it, by one. */
  readonly rewritten: History;
  readonly rewrittenOnce: History;
  /** All files but `small` removed again. */
  readonly removed: History;
  /** As many commits in a line as `forked` has lineages; and that. */
  readonly straight: FilledDataset;
  readonly forked: FilledDataset;
}

const made = new WeakMap<Bench, Promise<Histories>>();

/** The histories of a run, made when they are first asked for. */
export function histories(bench: Bench): Promise<Histories> {
  let found = made.get(bench);
  if (!found) made.set(bench, (found = makeAll(bench)));
  return found;
}

async function makeAll(bench: Bench): Promise<Histories> {
  const sizes = bench.quick ? QUICK : FULL;
  const varve = await bench.startVarve('histories');
  const [superuser, database] = [
    await varve.connectToDatabase({ asSuperuser: true }),
    await varve.connectToDatabase(),
  ];
  const requests = new TimedRequests(varve);
  bench.defer(async () => {
    requests.close();
    await superuser.end();
    await database.end();
  });
  const filler = await Filler.open(varve, await FilledRows.over(superuser));
  await requireLikeness(filler, varve, database);

  const plain = async (name: string, files: number): Promise<History> => {
    const dataset = await filler.dataset(name);
    return { dataset, main: await filler.firstVersion(dataset, files), deep: null };
  };
  const rewritten = async (
    name: string,
    files: number,
    versions: number,
    pathAt: (i: number) => number,
  ): Promise<History> => {
    const { dataset, main } = await plain(name, files);
    return {
      dataset,
      main: await filler.rewrites(dataset, 'main', main, versions, pathAt),
      deep: null,
    };
  };
  const branched = async (name: string, files: number): Promise<History> => {
    const { dataset, main } = await plain(name, files);
    await varve.call('POST', `/datasets/${dataset.id}/branches`, { name: 'deep', from: 'main' });
    const spread = Math.floor(files / sizes.differing);
    const pathAt = (i: number) => (i % sizes.differing) * spread;
    return {
      dataset,
      main,
      deep: await filler.rewrites(dataset, 'deep', main, sizes.apart, pathAt),
    };
  };
  const { middle, depth } = sizes;
  const filled = {
    large: await branched('large', sizes.large),
    middle: await branched('middle', middle),
    small: await plain('small', sizes.small),
    deep: await rewritten('deep', middle, depth, (i) => (i * 7919) % middle),
    rewritten: await rewritten('rewritten', middle, depth, () => 0),
    rewrittenOnce: await rewritten('rewritten once', middle, 1, () => 0),
    removed: await removed(filler, sizes),
    straight: (await plain('straight', middle)).dataset,
    forked: (await plain('forked', middle)).dataset,
  };
  await filler.finish();
  await commitInLine(varve, filler, filled.straight, sizes.forks);
  await commitWithForks(varve, filler, filled.forked, sizes.forks);
  return { varve, requests, database, filler, sizes, ...filled };
}

async function removed(filler: Filler, { large, small }: Sizes): Promise<History> {
  const dataset = await filler.dataset('removed');
  const main = await filler.removal(dataset, await filler.firstVersion(dataset, large), small);
  return { dataset, main, deep: null };
}

async function commitInLine(varve: Varve, filler: Filler, { id }: FilledDataset, count: number) {
  for (let i = 0; i < count; i++) await commitTo(varve, filler, id, 'main', i);
}

/** Before each commit to `main` another branch takes the place after its head: it has to fork. */
async function commitWithForks(varve: Varve, filler: Filler, { id }: FilledDataset, count: number) {
  for (let i = 0; i < count; i++) {
    const name = `beside-${i}`;
    await varve.call('POST', `/datasets/${id}/branches`, { name, from: 'main' });
    await commitTo(varve, filler, id, name, i);
    await commitTo(varve, filler, id, 'main', i);
  }
}

async function commitTo(
  varve: Varve,
  filler: Filler,
  dataset: number,
  branch: string,
  i: number,
): Promise<void> {
  const operations = [{ op: 'put', path: pathOf(i), fileId: filler.content(i + 1).id }];
  await varve.call('POST', `/datasets/${dataset}/versions`, { branch, message: 'm', operations });
}
