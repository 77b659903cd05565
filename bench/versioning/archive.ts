import { mkdir } from 'node:fs/promises';
import { asOneTar, requestEach } from '../foundation/varve-adders.js';
import {
  borg,
  datalad,
  gitAnnex,
  gitLfs,
  putAside,
  restic,
  type Source,
} from '../foundation/peers/adders.js';
import { inSeconds, KIB } from '../harness/figures.js';
import { race } from '../harness/race.js';

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
      await putAside(bench, source);
      await mkdir(source.folder);
      await client.writeFiles(source.folder, count, source.bytes, stamp);
    },
    rounds: 3,
    warmUps: 1,
    figure: inSeconds,
    settle: true,
  };
});
