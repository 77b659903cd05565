import path from 'node:path';
import type { Bench } from '../harness/bench.js';
import { compile, type Client, type Framing, type RequestHead } from '../harness/client.js';
import { GIB, MIB, mebibytesPerSecond } from '../harness/figures.js';
import { ChildProcess } from '../harness/processes.js';
import { emptyFolder } from '../harness/folders.js';
import { race, type Contestant } from '../harness/race.js';
import type { Varve } from '../harness/varve.js';
import { startPeer } from './peers/start-peer.js';

/** As long as curl's: the longer it is, the faster a parser skips through the content. */
const BOUNDARY = '------------------------d74496d66958873e';

const MULTIPART: Framing = {
  before:
    `--${BOUNDARY}\r\n` +
    'Content-Disposition: form-data; name="file"; filename="big.bin"\r\n' +
    'Content-Type: application/octet-stream\r\n\r\n',
  after: `\r\n--${BOUNDARY}--\r\n`,
};

/** One big body on one connection, durable before it is answered. */
export const upload = race('1 GiB up', async (bench) => {
  const bytes = bench.quick ? 64 * MIB : GIB;
  const client = await bench.client();
  return {
    contestants: [
      floor(bench, client, bytes),
      varveRaw(bench, client, bytes),
      varveMultipart(bench, client, bytes),
      multer(bench, client, bytes),
      tus(bench, client, bytes),
    ],
    comparisons: [
      { contestant: 'Varve', against: 'C floor', atLeast: 0.7 },
      { contestant: 'as multipart', against: 'Varve', atLeast: 0.65 },
      { contestant: 'Varve', against: 'multer disk storage, then a hash', atLeast: 2.5 },
      { contestant: 'Varve', against: '@tus/server', atLeast: 1 },
    ],
    rounds: 6,
    warmUps: 1,
    figure: mebibytesPerSecond(bytes),
    settle: true,
  };
});

function floor(bench: Bench, client: Client, bytes: number): Contestant {
  let server: ChildProcess;
  let folder: string;
  return {
    name: 'C floor',
    note: 'receives and writes 1 MiB at a time on one thread, fsync of file and directory; no hash',
    async setUp() {
      folder = await bench.folder('floor');
      const program = await compile('floor', await bench.folder('tools'));
      server = await ChildProcess.start(program, [folder], {
        logFile: path.join(bench.root, 'floor.log'),
        ready: /^(\d+)\n/,
      });
    },
    async run({ stamp }) {
      return (await client.send(server.port, post('/'), bytes, stamp)).seconds;
    },
    clear: () => emptyFolder(folder),
    tearDown: () => server?.stop(),
  };
}

function varveRaw(bench: Bench, client: Client, bytes: number): Contestant {
  let varve: Varve;
  return {
    name: 'Varve',
    note: 'raw body; SHA-256, file and directory synced, row committed',
    async setUp() {
      varve = await bench.varve();
    },
    async run({ stamp }) {
      const head = varve.head('POST', '/files?name=big.bin', octets);
      return (await client.send(varve.port, head, bytes, stamp)).seconds;
    },
    clear: () => varve.dropArtifacts(),
  };
}

function varveMultipart(bench: Bench, client: Client, bytes: number): Contestant {
  let varve: Varve;
  return {
    name: 'as multipart',
    note: 'Varve, multipart/form-data with one part; the rest as with the raw body',
    async setUp() {
      varve = await bench.varve();
    },
    async run() {
      const type = `multipart/form-data; boundary=${BOUNDARY}`;
      const head = varve.head('POST', '/files', { 'Content-Type': type });
      const options = { framing: MULTIPART };
      // Not the round's own stamp: the raw upload has stored that content.
      return (await client.send(varve.port, head, bytes, bench.nextStamp(), options)).seconds;
    },
    clear: () => varve.dropArtifacts(),
  };
}

function multer(bench: Bench, client: Client, bytes: number): Contestant {
  let server: ChildProcess;
  let folder: string;
  return {
    name: 'multer disk storage, then a hash',
    note: 'Express; the stored file is read again for its SHA-256, then fsync of file and directory',
    async setUp() {
      folder = await bench.folder('multer');
      server = await startPeer(bench, 'multer-server', folder);
    },
    async run({ stamp }) {
      const head = post('/', { 'Content-Type': `multipart/form-data; boundary=${BOUNDARY}` });
      return (await client.send(server.port, head, bytes, stamp, { framing: MULTIPART })).seconds;
    },
    clear: () => emptyFolder(folder),
    tearDown: () => server?.stop(),
  };
}

function tus(bench: Bench, client: Client, bytes: number): Contestant {
  let server: ChildProcess;
  let folder: string;
  return {
    name: '@tus/server',
    note: '@tus/file-store, creation with upload in one request; no hash; fsync of file and directory when the upload has finished',
    async setUp() {
      folder = await bench.folder('tus');
      server = await startPeer(bench, 'tus-server', folder);
    },
    async run({ stamp }) {
      const head = post('/files', {
        'Tus-Resumable': '1.0.0',
        'Upload-Length': `${bytes}`,
        'Content-Type': 'application/offset+octet-stream',
      });
      return (await client.send(server.port, head, bytes, stamp)).seconds;
    },
    clear: () => emptyFolder(folder),
    tearDown: () => server?.stop(),
  };
}

const octets = { 'Content-Type': 'application/octet-stream' };

function post(target: string, headers?: Record<string, string>): RequestHead {
  return { method: 'POST', target, headers };
}
