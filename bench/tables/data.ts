import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api';
import { availableParallelism } from 'node:os';
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { uploadSample } from '../foundation/sample.js';
import type { Bench } from '../harness/bench.js';

/** The same files for DuckDB alone, and in a version of a dataset for the server. */
export interface TableData {
  readonly csv: string;
  readonly parquet: string;
  /** Where the server has them. */
  readonly dataset: number;
  /** An engine with a worker's settings, warm, in the benchmark's own process. */
  readonly duckdb: DuckDBConnection;
}

/** As many rows as make about 1 GiB of CSV, and a Parquet file of the first ten million of them. */
const ROWS = 16_000_000;
const PARQUET_ROWS = 10_000_000;
const QUICK_SHARE = 0.01;

/** Like a worker's: threads of the machine, half of its memory limit. */
const SETTINGS = {
  threads: String(Math.min(4, availableParallelism())),
  memory_limit: '256MiB',
};

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
      i % 97 AS kind, TIMESTAMP '2026-01-01' + i * INTERVAL 1 SECOND AS at
    FROM range(${Math.round(rows * share)}) t(i)`;
  const [csv, parquet] = [path.join(folder, 'big.csv'), path.join(folder, 'big.parquet')];
  await duckdb.run(`COPY (${select(ROWS)}) TO '${csv}' (FORMAT csv, HEADER true)`);
  await duckdb.run(`COPY (${select(PARQUET_ROWS)}) TO '${parquet}' (FORMAT parquet)`);
  return { csv, parquet, dataset: await store(bench, { csv, parquet }), duckdb };
}

async function store(bench: Bench, files: { csv: string; parquet: string }): Promise<number> {
  const varve = await bench.varve();
  const client = await bench.client();
  const { id } = await varve.call<{ id: number }>('POST', '/datasets', { name: 'tables' });
  const operations = [];
  for (const [type, file] of Object.entries(files)) {
    const fileId = await uploadSample(varve, client, file, (await stat(file)).size);
    operations.push({ op: 'put', path: `big.${type}`, fileId });
  }
  await varve.call('POST', `/datasets/${id}/versions`, { message: 'tables', operations });
  // What the server does after a commit would stand in the way of what is measured.
  for (;;) {
    const { items } = await varve.call<{ items: { state: string }[] }>(
      'GET',
      '/jobs?kind=tables.capture-schemas',
    );
    if (items.length > 0 && items.every(({ state }) => state === 'completed')) return id;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

/** The seconds that some work takes. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const begun = process.hrtime.bigint();
  await work();
  return Number(process.hrtime.bigint() - begun) / 1e9;
}
