import { run, type ChildProcess } from '../harness/processes.js';
import { compile, type RequestHead } from '../harness/client.js';
import { KIB, perSecond } from '../harness/figures.js';
import { race } from '../harness/race.js';
import { startPeer } from './peers/start-peer.js';

const FILE_BYTES = 4 * KIB;
const CONNECTIONS = 32;

/** Many small bodies, a request each. */
export const smallFiles = race('10,000 × 4 KiB up, a request each, 32 at once', async (bench) => {
  const requests = bench.quick ? 500 : 10_000;
  const client = await bench.client();
  const send = async (port: number, head: RequestHead, stamp: bigint) => {
    const plan = { connections: CONNECTIONS, requests, bytes: FILE_BYTES, stamp };
    return (await client.many(port, head, plan)).seconds;
  };
  const headers = { 'Content-Type': 'application/octet-stream' };
  let hashing: ChildProcess;
  let disk: { readonly program: string; readonly folder: string };
  return {
    contestants: [
      {
        name: 'Varve',
        note: 'each file and its directory synced, its row committed, before its answer',
        async run({ stamp }) {
          const varve = await bench.varve();
          return send(varve.port, varve.head('POST', '/files?name=small.bin', headers), stamp);
        },
      },
      {
        name: 'Nest, hash and discard',
        note: 'a route that hashes the body and keeps nothing',
        async setUp() {
          hashing = await startPeer(bench, 'hashing-server');
        },
        run: ({ stamp }) =>
          send(hashing.port, { method: 'POST', target: '/files?name=small.bin', headers }, stamp),
        tearDown: () => hashing?.stop(),
      },
      {
        // Not compared, but nobody who syncs each file can be faster.
        name: 'the disk alone',
        note: `C, ${CONNECTIONS} threads: each file written, synced, renamed, its directory synced`,
        async setUp() {
          const folder = await bench.folder('disk');
          disk = { program: await compile('disk', await bench.folder('tools')), folder };
        },
        async run() {
          const given = [disk.folder, requests, FILE_BYTES, CONNECTIONS].map(String);
          return Number(await run(disk.program, given));
        },
        async clear() {
          await bench.putAway(disk.folder);
          await bench.folder('disk');
        },
      },
    ],
    comparisons: [{ contestant: 'Varve', against: 'Nest, hash and discard', atLeast: 0.35 }],
    rounds: 5,
    warmUps: 1,
    figure: perSecond(requests),
    settle: true,
  };
});
