import { createHash } from 'node:crypto';
import path from 'node:path';
import { inSeconds } from '../harness/figures.js';
import { race } from '../harness/race.js';
import { tableData, timed } from './data.js';

const COPY = { parquet: 'FORMAT parquet', ndjson: 'FORMAT json', arrow: 'FORMAT parquet' } as const;

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
          note: 'received and dropped',
          run: () =>
            timed(async () => {
              const answer = await fetch(`http://127.0.0.1:${varve.port}${head.target}`, {
                method: 'POST',
                headers: head.headers ?? {},
                body: JSON.stringify({ sql: 'SELECT * FROM "big.parquet"', format }),
              });
              if (!answer.ok || !answer.body) throw new Error(await answer.text());
              // Something has to be done with the bytes, or nobody knows that they came.
              const hash = createHash('md5');
              for await (const chunk of answer.body) hash.update(chunk as Uint8Array);
            }),
        },
        {
          name: 'DuckDB',
          note: format === 'arrow' ? 'COPY as Parquet, since it writes no Arrow' : 'COPY to a file',
          run: () =>
            timed(() =>
              files.duckdb.run(
                `COPY (SELECT * FROM read_parquet('${files.parquet}')) TO '${output}' (${COPY[format]})`,
              ),
            ),
        },
      ],
      comparisons: [{ contestant: 'Varve', against: 'DuckDB', atLeast: 0.7 }],
      rounds: 3,
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
        note: 'USING SAMPLE reservoir, COPY',
        run: () =>
          timed(() =>
            files.duckdb.run(
              `COPY (SELECT * FROM read_parquet('${files.parquet}') USING SAMPLE reservoir(${rows} ROWS)) TO '${output}' (FORMAT parquet)`,
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
