import type { Bench } from '../harness/bench.js';
import { MIB, mebibytes } from '../harness/figures.js';
import { MemoryWatch, largestPeakBytes, processBytes } from '../harness/memory.js';
import type { Measurement, Row } from '../harness/suite.js';
import type { Varve } from '../harness/varve.js';
import { tableData } from './data.js';
import { drop } from './results.js';

/** TABLE_WORKER_MEMORY_BYTES where nobody sets it. */
const LIMIT_BYTES = 512 * MIB;
/** The collector's sawtooth, and the buffers of one answer. */
const FLAT_BYTES = 64 * MIB;

const workers = (server: number) => largestPeakBytes(server, 'table.worker.js');

/** That workers stay within their limit, and that results pass through the server without staying. */
export const workerMemory: Measurement = {
  work: 'memory',
  async measure(bench) {
    const { dataset } = await tableData(bench);
    const varve = await bench.varve();
    const query = (format: string) =>
      drop(
        varve.port,
        varve.head('POST', `/datasets/${dataset}/refs/main/query`, {
          'Content-Type': 'application/json',
        }),
        JSON.stringify({ sql: 'SELECT * FROM "big.parquet"', format }),
      );
    await query('ndjson');
    const idle = await processBytes(varve.pid);
    const [server, results] = [
      MemoryWatch.start(varve.pid, processBytes),
      MemoryWatch.start(varve.pid, workers),
    ];
    for (const format of ['parquet', 'arrow', 'ndjson']) await query(format);
    const rows = [
      flatRow(idle, server.takePeak()),
      workerRow('results of ten million rows', results.takePeak()),
    ];
    await Promise.all([server.stop(), results.stop()]);
    // A server of its own: its workers have nothing of those results.
    const other = await bench.startVarve('hostile');
    const hostile = MemoryWatch.start(other.pid, workers);
    await readHostile(bench, other);
    rows.push(workerRow('hostile files', hostile.takePeak()));
    await hostile.stop();
    return { rows, details: [] };
  },
};

function flatRow(idle: number, peak: number): Row {
  const growth = Math.max(0, peak - idle);
  return {
    work: 'memory of the server while ten million rows pass, three times',
    ours: `+${mebibytes(growth)}`,
    beside: 'the server before',
    theirs: mebibytes(idle),
    ratio: '–',
    target: `flat (≤ ${mebibytes(FLAT_BYTES)})`,
    verdict: growth <= FLAT_BYTES ? 'pass' : 'miss',
  };
}

function workerRow(what: string, peak: number): Row {
  return {
    work: `memory of the largest table worker: ${what}`,
    ours: mebibytes(peak),
    beside: 'its limit',
    theirs: mebibytes(LIMIT_BYTES),
    ratio: '–',
    target: `≤ ${mebibytes(LIMIT_BYTES)}`,
    verdict: peak <= LIMIT_BYTES ? 'pass' : 'miss',
  };
}

/** Files that were made to take a reader's memory: the larger ones as much as an engine lets them. */
function hostileFiles(share: number): Record<string, string> {
  const times = (count: number) => Math.round(count * share);
  return {
    'deep.json': `[{"a":1},${'['.repeat(100_000)}`,
    'wide.csv': Array.from({ length: 100_000 }, (_, at) => `c${at}`).join(','),
    'line.csv': `a,b\n"${'x'.repeat(times(200 * MIB))}`,
    'quote.csv': `a,b\n"${'1,2\n'.repeat(times(50_000_000))}`,
    'keys.ndjson': Array.from({ length: times(200_000) }, (_, at) => `{"k${at}":${at}}`).join('\n'),
    'distinct.csv': `a\n${Array.from({ length: times(2_000_000) }, (_, at) => `value number ${at * 7919}`).join('\n')}`,
  };
}

async function readHostile(bench: Bench, varve: Varve): Promise<void> {
  const { id } = await varve.call<{ id: number }>('POST', '/datasets', { name: 'hostile' });
  for (const [name, text] of Object.entries(hostileFiles(bench.quick ? 0.05 : 1))) {
    const file = await varve.upload(name, new TextEncoder().encode(text));
    const operations = [{ op: 'put', path: name, fileId: file.id }];
    await varve.call('POST', `/datasets/${id}/versions`, { message: name, operations });
    for (const verb of ['schema', 'rows', 'profile']) {
      // Whether it is read or refused: the memory is what counts.
      await varve
        .call('GET', `/datasets/${id}/refs/main/${verb}?path=${name}`)
        .catch(() => undefined);
    }
  }
}
