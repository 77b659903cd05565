import path from 'node:path';
import type { Bench } from '../harness/bench.js';
import type { Client } from '../harness/client.js';
import { emptyFolder } from '../harness/folders.js';
import { GIB, inSeconds, KIB, MIB } from '../harness/figures.js';
import { race, type Contestant, type Race } from '../harness/race.js';
import { gitAnnex, gitLfs, rclone, restic, type Source } from './peers/adders.js';
import { uploadedId } from './sample.js';

const CONNECTIONS = 32;

/** How many of the files rclone is given: it paces itself, so all of them would only take longer. */
const RCLONE_SAMPLE = 500;

/** One big file, from the user's disk into what keeps it. */
export const addBigFile = race('add 1 GiB', (bench) =>
  adding(bench, {
    rounds: 3,
    count: 1,
    bytes: bench.quick ? 64 * MIB : GIB,
    varve: 'curl would do the same: one request, then a commit that names the file',
  }),
);

/** Many small files. */
export const addManyFiles = race('add 10,000 × 4 KiB', (bench) =>
  adding(bench, {
    rounds: 2,
    count: bench.quick ? 500 : 10_000,
    bytes: 4 * KIB,
    varve: `a request each, ${CONNECTIONS} at once, then one commit that names them all`,
  }),
);

interface Task {
  readonly rounds: number;
  readonly count: number;
  readonly bytes: number;
  readonly varve: string;
}

/**
 * `add`: the files are recorded under their names in something that keeps versions (a dataset's
 * version, a git index, a snapshot), except by rclone, which copies.
 */
async function adding(bench: Bench, task: Task): Promise<Race> {
  const client = await bench.client();
  const source: Source = { ...task, folder: await bench.folder(`add-${task.count}`) };
  return {
    contestants: [
      requestEach(bench, client, source, { name: 'Varve', note: task.varve }),
      gitAnnex(bench, source),
      gitLfs(bench, source),
      restic(bench, source),
      rclone(bench, source, RCLONE_SAMPLE),
    ],
    comparisons: ['git-annex', 'git-lfs', 'restic', 'rclone to nginx-webdav'].map((against) => {
      return { contestant: 'Varve', against, atLeast: 1, target: 'ahead' };
    }),
    async prepare({ stamp }) {
      await emptyFolder(source.folder);
      await client.writeFiles(source.folder, task.count, task.bytes, stamp);
    },
    rounds: task.rounds,
    warmUps: 0,
    figure: inSeconds,
    settle: true,
  };
}

/** Adds to a new dataset of Varve: a request for each file, then one commit that names them. */
export function requestEach(
  bench: Bench,
  client: Client,
  source: Source,
  { name, note }: { name: string; note: string },
): Contestant {
  return {
    name,
    note: `${note}; everything synced and committed before each answer`,
    async run({ stamp }) {
      const server = await bench.varve();
      const { id } = await server.call<{ id: number }>('POST', '/datasets', {
        name: `bench-${stamp}`,
      });
      const started = performance.now();
      const answers = await uploadAll();
      const operations = answers.map((answer, index) => {
        return { op: 'put', path: fileName(index), fileId: uploadedId(answer) };
      });
      await server.call('POST', `/datasets/${id}/versions`, { message: 'add', operations });
      return (performance.now() - started) / 1000;

      async function uploadAll(): Promise<readonly string[]> {
        const headers = { 'Content-Type': 'application/octet-stream' };
        const head = server.head('POST', '/files?name=file.bin', headers);
        if (source.count > 1) {
          const plan = { connections: CONNECTIONS, requests: source.count, folder: source.folder };
          return (await client.sendEach(server.port, head, plan)).answers;
        }
        const file = path.join(source.folder, fileName(0));
        return (await client.sendFile(server.port, head, file, source.bytes)).answers;
      }
    },
    clear: async () => (await bench.varve()).dropArtifacts(),
  };
}

/** What `Client.writeFiles` calls its files. */
function fileName(index: number): string {
  return String(index).padStart(5, '0');
}
