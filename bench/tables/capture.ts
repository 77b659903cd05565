import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Client } from 'pg';
import { inSeconds } from '../harness/figures.js';
import { race } from '../harness/race.js';
import { DUCKDB_SETTINGS, tableData, timed } from './data.js';

const FILES = 1000;
const ROWS = 50;

/** Reading every value of all tables that one commit brought. */
export const capture = race('capture for 1,000 small CSVs in one commit', async (bench) => {
  const { duckdb } = await tableData(bench);
  const varve = await bench.varve();
  const database = await varve.connectToDatabase();
  bench.defer(() => database.end());
  const count = bench.quick ? 50 : FILES;
  const folder = await bench.folder('small');
  let files: string[] = [];
  let operations: object[] = [];
  return {
    contestants: [
      {
        name: 'Varve',
        note: 'from the commit’s answer until all schemas are there; workers as they are set up',
        run: async () => {
          const { id } = await varve.call<{ id: number }>('POST', '/datasets', {
            name: `captured-${bench.nextStamp()}`,
          });
          const { versionNumber } = await varve.call<{ versionNumber: number }>(
            'POST',
            `/datasets/${id}/versions`,
            { message: 'small', operations },
          );
          return timed(() => captured(database, id, versionNumber, count));
        },
      },
      {
        name: 'DuckDB',
        note: `for each file DESCRIBE and a count of each column; ${DUCKDB_SETTINGS}`,
        run: () =>
          timed(async () => {
            for (const file of files) {
              const from = `read_csv('${file}')`;
              await duckdb.runAndReadAll(`DESCRIBE SELECT * FROM ${from}`);
              await duckdb.runAndReadAll(
                `SELECT count(*), count(id), count(name), count(price) FROM ${from}`,
              );
            }
          }),
      },
    ],
    async prepare({ stamp }) {
      await mkdir(folder, { recursive: true });
      files = Array.from({ length: count }, (_, at) => path.join(folder, `${at}.csv`));
      operations = [];
      for (const [at, file] of files.entries()) {
        const text = smallTable(stamp, at);
        await writeFile(file, text);
        const { id } = await varve.upload(`${at}.csv`, new TextEncoder().encode(text));
        operations.push({ op: 'put', path: `small/${at}.csv`, fileId: id });
      }
    },
    comparisons: [{ contestant: 'Varve', against: 'DuckDB', atMost: 1.5 }],
    rounds: 3,
    warmUps: 0,
    figure: inSeconds,
  };
});

function smallTable(stamp: bigint, file: number): string {
  const rows = Array.from({ length: ROWS }, (_, row) => `${row},name ${stamp} ${file},${row / 8}`);
  return `id,name,price\n${rows.join('\n')}\n`;
}

async function captured(database: Client, dataset: number, version: number, count: number) {
  for (;;) {
    const { rows } = await database.query<{ count: string }>(
      `SELECT count(*) FROM dataset_schema_versions s JOIN dataset_versions v ON v.id = s.dataset_version_id
       WHERE v.dataset_id = $1 AND v.version_number = $2`,
      [dataset, version],
    );
    if (Number(rows[0]?.count) === count) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
