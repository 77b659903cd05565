import { mkdir } from 'node:fs/promises';
import type { Bench } from '../harness/bench.js';
import { GIB, inSeconds, KIB, MIB } from '../harness/figures.js';
import { race, type Contestant, type Race } from '../harness/race.js';
import { gitAnnex, gitLfs, putAside, rclone, restic, type Source } from './peers/adders.js';
import { asOneTar, requestEach } from './varve-adders.js';

/** How many of the files rclone is given: it paces itself, so all of them would only take longer. */
const RCLONE_SAMPLE = 500;

/** One big file, from the user's disk into what keeps it. */
export const addBigFile = race('add 1 GiB', async (bench) => {
  const task = { rounds: 3, count: 1, bytes: bench.quick ? 64 * MIB : GIB };
  return adding(bench, task, async (source) => {
    const note = 'curl would do the same: one request, then a commit that names the file';
    return requestEach(bench, await bench.client(), source, { name: 'Varve', note });
  });
});

/** A directory of many small files. */
export const addManyFiles = race('add 10,000 × 4 KiB', async (bench) => {
  const task = { rounds: 2, count: bench.quick ? 500 : 10_000, bytes: 4 * KIB };
  return adding(bench, task, async (source) => asOneTar(bench, await bench.client(), source));
});

interface Task {
  readonly rounds: number;
  readonly count: number;
  readonly bytes: number;
}

/**
 * `add`: the files are recorded under their names in something that keeps versions (a dataset's
 * version, a git index, a snapshot), except by rclone, which copies.
 */
async function adding(
  bench: Bench,
  task: Task,
  varve: (source: Source) => Promise<Contestant>,
): Promise<Race> {
  const client = await bench.client();
  const source: Source = { ...task, folder: await bench.folder(`add-${task.count}`) };
  return {
    contestants: [
      await varve(source),
      gitAnnex(bench, source),
      gitLfs(bench, source),
      restic(bench, source),
      rclone(bench, source, RCLONE_SAMPLE),
    ],
    comparisons: ['git-annex', 'git-lfs', 'restic', 'rclone to nginx-webdav'].map((against) => {
      return { contestant: 'Varve', against, atLeast: 1, target: 'ahead' };
    }),
    async prepare({ stamp }) {
      await putAside(bench, source);
      await mkdir(source.folder);
      await client.writeFiles(source.folder, task.count, task.bytes, stamp);
    },
    rounds: task.rounds,
    warmUps: 0,
    figure: inSeconds,
    settle: true,
  };
}
