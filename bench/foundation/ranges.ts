import path from 'node:path';
import type { ChildProcess } from '../harness/processes.js';
import type { RequestHead } from '../harness/client.js';
import { GIB, KIB, MIB, perSecond } from '../harness/figures.js';
import { race } from '../harness/race.js';
import { startPeer } from './peers/start-peer.js';
import { uploadSample } from './sample.js';

const RANGE_BYTES = 64 * KIB;
const CONNECTIONS = 8;

/** Random reads within one big file, over connections that stay open. */
export const ranges = race('random 64 KiB ranges, keep-alive', async (bench) => {
  const bytes = bench.quick ? 64 * MIB : GIB;
  const requests = bench.quick ? 500 : 10_000;
  const client = await bench.client();
  const file = path.join(await bench.folder('ranges'), 'big.bin');
  await client.fill(file, bytes, bench.nextStamp());

  const read = async (port: number, head: RequestHead, seed: bigint) => {
    const plan = { connections: CONNECTIONS, requests, of: bytes, length: RANGE_BYTES, seed };
    const load = await client.ranges(port, head, plan);
    if (load.bytesReceived !== requests * RANGE_BYTES) throw new Error('ranges came short');
    return load.seconds;
  };
  let bare: ChildProcess;
  let target: string;
  return {
    contestants: [
      {
        name: 'Varve',
        note: `${CONNECTIONS} connections; through the guard and the database`,
        async setUp() {
          const id = await uploadSample(await bench.varve(), client, file, bytes);
          target = `/files/${id}/content`;
        },
        async run({ stamp }) {
          const varve = await bench.varve();
          return read(varve.port, varve.head('GET', target), stamp);
        },
        tearDown: async () => (await bench.varve()).dropArtifacts(),
      },
      {
        name: 'bare node:http',
        note: `${CONNECTIONS} connections; one positional read per request, open to all`,
        async setUp() {
          bare = await startPeer(bench, 'range-server', file);
        },
        run: ({ stamp }) => read(bare.port, { method: 'GET', target: '/' }, stamp),
        tearDown: () => bare?.stop(),
      },
    ],
    comparisons: [{ contestant: 'Varve', against: 'bare node:http', atLeast: 0.5 }],
    rounds: 7,
    warmUps: 1,
    figure: perSecond(requests),
  };
});
