import path from 'node:path';
import type { Bench } from '../harness/bench.js';
import type { Client } from '../harness/client.js';
import { GIB, MIB, mebibytesPerSecond } from '../harness/figures.js';
import { race, type Contestant } from '../harness/race.js';
import { startNginx, type Nginx } from './peers/nginx.js';
import { uploadSample } from './sample.js';

/** One big file on one connection, out of the page cache on every side. */
export const download = race('1 GiB down', async (bench) => {
  const bytes = bench.quick ? 64 * MIB : GIB;
  const client = await bench.client();
  const folder = await bench.folder('download');
  await client.fill(path.join(folder, 'big.bin'), bytes, bench.nextStamp());
  return {
    contestants: [
      varveContent(bench, client, path.join(folder, 'big.bin'), bytes),
      nginx(bench, client, folder, bytes, 'on', "as Debian's nginx.conf sets it"),
      nginx(bench, client, folder, bytes, 'off', "nginx's own default"),
    ],
    comparisons: [
      { contestant: 'Varve', against: 'nginx, sendfile on', atLeast: 0.9 },
      { contestant: 'Varve', against: 'nginx, sendfile off', atLeast: 0.9 },
    ],
    rounds: 9,
    warmUps: 2,
    figure: mebibytesPerSecond(bytes),
  };
});

function varveContent(bench: Bench, client: Client, file: string, bytes: number): Contestant {
  let fetchIt: () => Promise<number>;
  return {
    name: 'Varve',
    note: 'through the guard and the database, Repr-Digest and all',
    async setUp() {
      const varve = await bench.varve();
      const id = await uploadSample(varve, client, file, bytes);
      fetchIt = async () => {
        const load = await client.fetch(varve.port, varve.head('GET', `/files/${id}/content`));
        return whole(load.bytesReceived, bytes, load.seconds);
      };
    },
    run: () => fetchIt(),
    tearDown: async () => (await bench.varve()).dropArtifacts(),
  };
}

function nginx(
  bench: Bench,
  client: Client,
  folder: string,
  bytes: number,
  sendfile: 'on' | 'off',
  why: string,
): Contestant {
  let server: Nginx;
  return {
    name: `nginx, sendfile ${sendfile}`,
    note: `${why}; open to all, no access log`,
    async setUp() {
      const directives = [`root ${folder};`, `sendfile ${sendfile};`];
      server = await startNginx(bench, `nginx-sendfile-${sendfile}`, directives);
    },
    async run() {
      const load = await client.fetch(server.port, { method: 'GET', target: '/big.bin' });
      return whole(load.bytesReceived, bytes, load.seconds);
    },
    tearDown: () => server?.stop(),
  };
}

function whole(received: number, expected: number, seconds: number): number {
  if (received !== expected) throw new Error(`${received} bytes came instead of ${expected}`);
  return seconds;
}
