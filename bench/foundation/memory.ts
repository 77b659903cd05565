import { GIB, MIB, mebibytes } from '../harness/figures.js';
import { MemoryWatch, treeBytes } from '../harness/memory.js';
import type { Detail, Measurement, Row } from '../harness/suite.js';
import { uploadedId } from './sample.js';

const GROWTH_LIMIT_BYTES = 200 * MIB;

/** What counts as flat: the collector's sawtooth moves by this much even when nothing accumulates. */
const FLAT_LIMIT_BYTES = 32 * MIB;

const WORK = '10 GiB';

/** How far a fresh server's memory grows while one very big body goes up, and comes down again. */
export const memory: Measurement = {
  work: WORK,
  async measure(bench) {
    const varve = await bench.startVarve('memory');
    const client = await bench.client();
    const bytes = bench.quick ? 2 * GIB : 10 * GIB;
    const idle = await treeBytes(varve.pid);
    const watch = MemoryWatch.start(varve.pid);
    try {
      const up = await phases(watch, async (onMark) => {
        const head = varve.head('POST', '/files?name=huge.bin', {
          'Content-Type': 'application/octet-stream',
        });
        const { answers } = await client.send(varve.port, head, bytes, bench.nextStamp(), {
          onMark,
        });
        return uploadedId(answers[0] ?? '');
      });
      const content = varve.head('GET', `/files/${up.result}/content`);
      const down = await phases(watch, (onMark) => client.fetch(varve.port, content, onMark));
      return {
        rows: [...rowsOf('up', idle, up), ...rowsOf('down', idle, down)],
        details: [detailOf('up', idle, up), detailOf('down', idle, down)],
      };
    } finally {
      await watch.stop();
      await varve.stop();
      await varve.dropArtifacts();
    }
  },
};

/** Peaks while the first GiB passed and while the rest did, in bytes. */
interface Phases<T> {
  readonly result: T;
  readonly first: number;
  readonly rest: number;
  readonly seconds: number;
}

async function phases<T>(
  watch: MemoryWatch,
  transfer: (onMark: () => void) => Promise<T>,
): Promise<Phases<T>> {
  watch.takePeak();
  const started = performance.now();
  let first: number | null = null;
  const result = await transfer(() => {
    first ??= watch.takePeak();
  });
  const seconds = (performance.now() - started) / 1000;
  const rest = watch.takePeak();
  return { result, first: first ?? rest, rest, seconds };
}

function rowsOf(way: string, idle: number, { first, rest }: Phases<unknown>): Row[] {
  const growth = Math.max(first, rest) - idle;
  const afterFirst = Math.max(0, rest - first);
  return [
    {
      work: `${WORK} ${way}, peak memory over the idle server's`,
      ours: `+${mebibytes(growth)}`,
      beside: 'the idle server',
      theirs: mebibytes(idle),
      ratio: '–',
      target: `≤ ${mebibytes(GROWTH_LIMIT_BYTES)}`,
      verdict: growth <= GROWTH_LIMIT_BYTES ? 'pass' : 'miss',
    },
    {
      work: `${WORK} ${way}, peak memory after the first GiB`,
      ours: `+${mebibytes(afterFirst)}`,
      beside: 'the peak of the first GiB',
      theirs: mebibytes(first),
      ratio: '–',
      target: `flat (≤ ${mebibytes(FLAT_LIMIT_BYTES)})`,
      verdict: afterFirst <= FLAT_LIMIT_BYTES ? 'pass' : 'miss',
    },
  ];
}

function detailOf(way: string, idle: number, { first, rest, seconds }: Phases<unknown>): Detail {
  return {
    work: `${WORK} ${way}`,
    contestant: 'Varve',
    median: mebibytes(Math.max(first, rest)),
    lowest: mebibytes(idle),
    highest: mebibytes(Math.max(first, rest)),
    rounds: 1,
    note:
      'the whole process tree, PostgreSQL included, as proportional set sizes ten times a second; ' +
      `idle, then peak; took ${seconds.toFixed(0)} s`,
  };
}
