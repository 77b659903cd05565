import { stat } from 'node:fs/promises';
import path from 'node:path';
import { requestEach } from '../foundation/add.js';
import {
  borg,
  datalad,
  gitAnnex,
  gitLfs,
  restic,
  type Source,
} from '../foundation/peers/adders.js';
import type { Bench } from '../harness/bench.js';
import type { Client } from '../harness/client.js';
import { inSeconds, KIB } from '../harness/figures.js';
import { emptyFolder } from '../harness/folders.js';
import { findProgram, run } from '../harness/processes.js';
import { race, type Contestant } from '../harness/race.js';
import type { Varve } from '../harness/varve.js';

const EACH = 'a request each';

/** A directory of many small files, put into a version with one request. */
export const archive = race('10,000 × 4 KiB as one tar', async (bench) => {
  const client = await bench.client();
  const count = bench.quick ? 500 : 10_000;
  const source: Source = { count, bytes: 4 * KIB, folder: await bench.folder(`tar-${count}`) };
  const peers = [
    gitAnnex(bench, source, { commit: true }),
    gitLfs(bench, source, { commit: true }),
    restic(bench, source),
    datalad(bench, source),
  ];
  return {
    contestants: [
      asOneTar(bench, client, source),
      requestEach(bench, client, source, {
        name: EACH,
        // A server of its own: what one stored, the other must not find there.
        note: 'to another server, 32 at once, then one commit that names them all',
      }),
      ...peers,
      borg(bench, source),
    ],
    comparisons: [
      { contestant: 'Varve', against: EACH, atLeast: 3 },
      ...peers.map(({ name }) => {
        return { contestant: 'Varve', against: name, atLeast: 1, target: 'ahead' };
      }),
      { contestant: 'Varve', against: 'borg', mark: true },
    ],
    async prepare({ stamp }) {
      await emptyFolder(source.folder);
      await client.writeFiles(source.folder, count, source.bytes, stamp);
    },
    rounds: 4,
    warmUps: 1,
    figure: inSeconds,
    settle: true,
  };
});

/** As `tar c . | curl -T -` would: the archive is made, sent, and its draft committed. */
function asOneTar(bench: Bench, client: Client, source: Source): Contestant {
  let varve: Varve;
  let tar: string;
  let scratch: string;
  return {
    name: 'Varve',
    note: 'making the archive, sending it into a draft, committing the draft; every file and directory synced and the rows committed before each answer',
    async setUp() {
      tar = await findProgram('tar');
      varve = await bench.startVarve('archives');
      scratch = path.join(await bench.folder('archives'), 'files.tar');
    },
    async run({ stamp }) {
      const name = `tar-${stamp}`;
      const { id } = await varve.call<{ id: number }>('POST', '/datasets', { name });
      const drafts = `/datasets/${id}/drafts`;
      const draft = await varve.call<{ id: number }>('POST', drafts, {});
      const started = performance.now();
      await run(tar, ['--create', '--file', scratch, '--directory', source.folder, '.']);
      const head = varve.head('PUT', `${drafts}/${draft.id}/archive`, {
        'Content-Type': 'application/x-tar',
      });
      await client.sendFile(varve.port, head, scratch, (await stat(scratch)).size);
      await varve.call('POST', `${drafts}/${draft.id}/commit`, { message: 'add' });
      return (performance.now() - started) / 1000;
    },
  };
}
