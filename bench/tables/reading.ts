import { inMilliseconds, inSeconds } from '../harness/figures.js';
import { race } from '../harness/race.js';
import { DUCKDB_SETTINGS, tableData, timed } from './data.js';

/** What a page that shows a table asks for first. */
export const firstRows = (['csv', 'parquet'] as const).map((type) =>
  race(`schema and first 100 rows of a large ${type} file`, async (bench) => {
    const files = await tableData(bench);
    const varve = await bench.varve();
    const at = (verb: string) => `/datasets/${files.dataset}/refs/main/${verb}?path=big.${type}`;
    const from = `read_${type}('${files[type]}')`;
    return {
      contestants: [
        {
          name: 'Varve',
          note: 'by HTTP, through the guard and the database, read in a worker',
          run: () =>
            timed(async () => {
              await varve.call('GET', at('schema'));
              await varve.call('GET', `${at('rows')}&limit=100`);
            }),
        },
        {
          name: 'DuckDB',
          note: `DESCRIBE and SELECT … LIMIT 100; ${DUCKDB_SETTINGS}`,
          run: () =>
            timed(async () => {
              await files.duckdb.runAndReadAll(`DESCRIBE SELECT * FROM ${from}`);
              await files.duckdb.runAndReadAll(`SELECT * FROM ${from} LIMIT 100`);
            }),
        },
      ],
      comparisons: [{ contestant: 'Varve', against: 'DuckDB', atMost: 2 }],
      rounds: 9,
      warmUps: 2,
      figure: inMilliseconds,
    };
  }),
);

/** Statistics of every column. */
export const profile = race('full profile of a large CSV file', async (bench) => {
  const files = await tableData(bench);
  const varve = await bench.varve();
  return {
    contestants: [
      {
        name: 'Varve',
        note: 'with histograms and frequent values',
        run: () =>
          timed(() =>
            varve.call('GET', `/datasets/${files.dataset}/refs/main/profile?path=big.csv`),
          ),
      },
      {
        name: 'DuckDB',
        note: `SUMMARIZE; ${DUCKDB_SETTINGS}`,
        run: () => timed(() => files.duckdb.runAndReadAll(`SUMMARIZE FROM '${files.csv}'`)),
      },
    ],
    comparisons: [{ contestant: 'Varve', against: 'DuckDB', atMost: 1.3 }],
    rounds: 3,
    warmUps: 1,
    figure: inSeconds,
  };
});
