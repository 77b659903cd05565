import { once } from 'node:events';
import { connect } from 'node:net';
import path from 'node:path';
import { inSeconds } from '../harness/figures.js';
import { race } from '../harness/race.js';
import { headText, type RequestHead } from '../harness/client.js';
import { DUCKDB_SETTINGS, tableData, timed } from './data.js';

const PARQUET = 'FORMAT parquet, COMPRESSION zstd';
const COPY = { parquet: PARQUET, ndjson: 'FORMAT json', arrow: PARQUET } as const;

/** What ends a body that came in chunks (RFC 9112, 7.1). */
const LAST_CHUNK = '\r\n0\r\n\r\n';
const RECEIVE_BYTES = 1024 * 1024;

/**
 * Sends a request and drops its answer, into one buffer and unparsed: the receiver shares the processors
 * with the server, and is not what is measured.
 * @throws Error unless the answer is 200 and comes to its end
 */
export async function drop(port: number, head: RequestHead, body: string): Promise<void> {
  let beginning = '';
  let end = '';
  const socket = connect({
    port,
    host: '127.0.0.1',
    onread: {
      buffer: Buffer.allocUnsafe(RECEIVE_BYTES),
      callback: (count, buffer) => {
        if (beginning === '') beginning = Buffer.from(buffer.subarray(0, 12)).toString('latin1');
        const last = Buffer.from(buffer.subarray(Math.max(0, count - LAST_CHUNK.length), count));
        end = (end + last.toString('latin1')).slice(-LAST_CHUNK.length);
        return true;
      },
    },
  });
  socket.write(
    `${headText(head)}Connection: close\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  );
  await once(socket, 'close');
  if (beginning !== 'HTTP/1.1 200' || end !== LAST_CHUNK) {
    throw new Error(`${head.target}: ${beginning}, broken off: ${end !== LAST_CHUNK}`);
  }
}

/** Ten million rows out of a query. */
export const results = (['parquet', 'arrow', 'ndjson'] as const).map((format) =>
  race(`query of 10,000,000 rows as ${format}`, async (bench) => {
    const files = await tableData(bench);
    const varve = await bench.varve();
    const output = path.join(await bench.folder('results'), format);
    const head = varve.head('POST', `/datasets/${files.dataset}/refs/main/query`, {
      'Content-Type': 'application/json',
    });
    return {
      contestants: [
        {
          name: 'Varve',
          note: 'by HTTP, received and dropped; the same format and compression',
          run: () =>
            timed(async () => {
              const body = JSON.stringify({ sql: 'SELECT * FROM "big.parquet"', format });
              await drop(varve.port, head, body);
            }),
        },
        {
          name: 'DuckDB',
          note: `COPY to a file (${COPY[format]}); ${DUCKDB_SETTINGS}`,
          run: () =>
            timed(() =>
              files.duckdb.run(
                `COPY (SELECT * FROM read_parquet('${files.parquet}')) TO '${output}' (${COPY[format]})`,
              ),
            ),
        },
      ],
      comparisons: [{ contestant: 'Varve', against: 'DuckDB', atLeast: 0.7 }],
      // DuckDB writes its result to a file; Varve is not to run while that goes to the disk.
      settle: true,
      rounds: 5,
      warmUps: 1,
      figure: inSeconds,
    };
  }),
);

/** A sample as a file of its own. */
export const sample = race('random sample of 100,000 rows to Parquet', async (bench) => {
  const files = await tableData(bench);
  const varve = await bench.varve();
  const output = path.join(await bench.folder('results'), 'sample.parquet');
  const rows = bench.quick ? 1000 : 100_000;
  return {
    contestants: [
      {
        name: 'Varve',
        note: 'as a job, until its file is stored',
        run: ({ stamp }) =>
          timed(async () => {
            const { id } = await varve.call<{ id: string }>(
              'POST',
              `/datasets/${files.dataset}/samples`,
              {
                ref: 'main',
                paths: ['big.parquet'],
                method: { kind: 'random', rows, seed: Number(stamp % 1_000_000n) },
              },
            );
            for (;;) {
              const job = await varve.call<{ state: string; error: string }>('GET', `/jobs/${id}`);
              if (job.state === 'completed') return;
              if (job.state === 'failed') throw new Error(job.error);
              await new Promise((resolve) => setTimeout(resolve, 10));
            }
          }),
      },
      {
        name: 'DuckDB',
        note: `USING SAMPLE reservoir, COPY (${PARQUET}); ${DUCKDB_SETTINGS}`,
        run: () =>
          timed(() =>
            files.duckdb.run(
              `COPY (SELECT * FROM read_parquet('${files.parquet}') USING SAMPLE reservoir(${rows} ROWS)) TO '${output}' (${PARQUET})`,
            ),
          ),
      },
    ],
    comparisons: [{ contestant: 'Varve', against: 'DuckDB', atMost: 1.3 }],
    rounds: 5,
    warmUps: 1,
    figure: inSeconds,
  };
});
