import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api';
import { availableParallelism } from 'node:os';
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { uploadSample } from '../foundation/sample.js';
import type { Bench } from '../harness/bench.js';
import type { Client } from '../harness/client.js';
import type { Varve } from '../harness/varve.js';

/** The same files for DuckDB alone, and in a version of a dataset for the server. */
export interface TableData {
  readonly csv: string;
  readonly parquet: string;
  /** Where the server has them. */
  readonly dataset: number;
  /** An engine with a worker's settings, warm, in the benchmark's own process. */
  readonly duckdb: DuckDBConnection;
}

/** As many rows as make 1 GiB of CSV, and a Parquet file of 200 MB of the first ten million of them. */
const ROWS = 18_500_000;
const PARQUET_ROWS = 10_000_000;
const QUICK_SHARE = 0.01;

/** As a worker has it: the threads of the machine, and half of its memory limit. */
const SETTINGS = {
  threads: String(Math.min(4, availableParallelism())),
  memory_limit: '256MiB',
};

/** How DuckDB alone is set up, for the table. */
export const DUCKDB_SETTINGS = `warm, in the benchmark's process; ${SETTINGS.threads} threads, memory_limit ${SETTINGS.memory_limit}, a temp_directory on the same disk, as a worker has them`;

let made: Promise<TableData> | null = null;

/** The suite's data, made at its first use. */
export function tableData(bench: Bench): Promise<TableData> {
  return (made ??= make(bench));
}

async function make(bench: Bench): Promise<TableData> {
  const share = bench.quick ? QUICK_SHARE : 1;
  const folder = await bench.folder('tables');
  const instance = await DuckDBInstance.create(':memory:', {
    ...SETTINGS,
    temp_directory: path.join(folder, 'spill'),
  });
  const duckdb = await instance.connect();
  bench.defer(() => {
    duckdb.closeSync();
    instance.closeSync();
  });
  const select = (rows: number) => `
    SELECT i AS id, 'name ' || (i * 7919 % 100003) AS name, (i * 31 % 1000) / 8 AS price,
      i % 97 AS kind, i * 2654435761 % 1000003 AS amount, TIMESTAMP '2026-01-01' + i * INTERVAL 1 SECOND AS at
    FROM range(${Math.round(rows * share)}) t(i)`;
  const [csv, parquet] = [path.join(folder, 'big.csv'), path.join(folder, 'big.parquet')];
  await duckdb.run(`COPY (${select(ROWS)}) TO '${csv}' (FORMAT csv, HEADER true)`);
  await duckdb.run(`COPY (${select(PARQUET_ROWS)}) TO '${parquet}' (FORMAT parquet)`);
  return { csv, parquet, dataset: await store(bench, { csv, parquet }), duckdb };
}

async function store(bench: Bench, files: { csv: string; parquet: string }): Promise<number> {
  return storeTables(await bench.varve(), await bench.client(), files);
}

/** Puts files into a dataset, and waits until all that follows a commit is done. */
export async function storeTables(
  varve: Varve,
  client: Client,
  files: Readonly<Record<string, string>>,
): Promise<number> {
  const { id } = await varve.call<{ id: number }>('POST', '/datasets', { name: 'tables' });
  const operations = [];
  for (const [type, file] of Object.entries(files)) {
    const fileId = await uploadSample(varve, client, file, (await stat(file)).size);
    operations.push({ op: 'put', path: `big.${type}`, fileId });
  }
  await varve.call('POST', `/datasets/${id}/versions`, { message: 'tables', operations });
  for (const { path: name } of operations) {
    const schema = `/datasets/${id}/refs/main/schema?path=${name}`;
    // The number of rows is told once all of them were read.
    while ((await varve.call<{ rowCount: number | null }>('GET', schema)).rowCount === null) {
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
  return id;
}

/** The seconds that some work takes. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const begun = process.hrtime.bigint();
  await work();
  return Number(process.hrtime.bigint() - begun) / 1e9;
}
