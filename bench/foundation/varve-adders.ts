import { stat } from 'node:fs/promises';
import path from 'node:path';
import type { Bench } from '../harness/bench.js';
import type { Client } from '../harness/client.js';
import { findProgram, run } from '../harness/processes.js';
import type { Contestant } from '../harness/race.js';
import type { Varve } from '../harness/varve.js';
import type { Source } from './peers/adders.js';
import { uploadedId } from './sample.js';

/** How many files are on their way at once where each has a request of its own. */
export const CONNECTIONS = 32;

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

/** As `tar c . | curl -T -` would: the archive is made, sent, and its draft committed. */
export function asOneTar(bench: Bench, client: Client, source: Source): Contestant {
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
