import { tableFromIPC } from '@uwdata/flechette';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import avro from 'avsc';
import { parquetReadObjects } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { writeXlsx } from 'hucre/xlsx';
import { createWriteStream } from 'node:fs';
import { copyFile, readFile, readdir } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import Papa from 'papaparse';
import readExcel from 'read-excel-file/node';
import { decodeAvro } from '../../../../test/builders/avro-decoder.js';
import { TableFolder, publicData } from '../../../../test/builders/tables.js';
import { perform } from '../../worker/operations.js';
import type { TableDescription } from '../describe.js';
import type { TableProfile } from '../profile.js';
import type { RowsPage } from '../rows.js';
import type { TableSource } from '../source.js';

type Row = Record<string, unknown>;

let folder: TableFolder;
beforeAll(async () => {
  folder = await TableFolder.make();
});
afterAll(() => folder.remove());

const MAX_ROWS = 50_000;

async function describeOf(source: TableSource): Promise<TableDescription> {
  const request = { source, full: true };
  const answer = await perform({ operation: 'describe', request, limits: folder.limits });
  return answer as TableDescription;
}

async function rowsOf(source: TableSource): Promise<Row[]> {
  const rows = { columns: null, where: null, orderBy: [], offset: 0, limit: MAX_ROWS };
  const request = { source, rows: { ...rows, format: 'json' as const } };
  const page = await perform({ operation: 'rows', request, limits: folder.limits });
  return JSON.parse(`[${Buffer.from((page as RowsPage).body).toString()}]`) as Row[];
}

async function copied(name: string): Promise<TableSource> {
  const at = `${folder.directory}/${name}`;
  await copyFile(publicData(name), at);
  return folder.of(at);
}

const records = async (name: string) =>
  JSON.parse(await readFile(publicData(name), 'utf8')) as Row[];

const sum = (values: unknown[]) =>
  values.reduce<number>((total, value) => total + Number(value ?? 0), 0);

/** Holds what was read against what another reader gives: rows, columns, and the sum of each of numbers. */
async function expectSame(source: TableSource, theirs: Row[], columns: string[]): Promise<void> {
  const table = await describeOf(source);
  expect(table.rowCount).toBe(theirs.length);
  expect(table.columns.map(({ name }) => name)).toEqual(columns);
  const rows = await rowsOf(source);
  const compared = theirs.slice(0, MAX_ROWS);
  for (const { name, type } of table.columns.filter(({ type }) => /^(int|float)/.test(type))) {
    const [ours, other] = [rows, compared].map((all) => sum(all.map((row) => row[name])));
    const tolerance = Math.max(1, Math.abs(other ?? 0)) * 1e-9;
    expect({ name, type, near: Math.abs((ours ?? 0) - (other ?? 0)) <= tolerance }).toEqual({
      name,
      type,
      near: true,
    });
  }
}

describe('public files hold what other readers find in them:', () => {
  it('every CSV and TSV, by papaparse', async () => {
    const names = (await readdir(publicData('.'))).filter((name) => /\.(csv|tsv)$/.test(name));
    expect(names.length).toBeGreaterThan(15);
    for (const name of names) {
      const { data, meta } = Papa.parse<Row>(await readFile(publicData(name), 'utf8'), {
        header: true,
        skipEmptyLines: true,
      });
      await expectSame(await copied(name), data, meta.fields ?? []);
    }
  });

  it('Parquet, by hyparquet', async () => {
    const bytes = new Uint8Array(await readFile(publicData('flights-3m.parquet'))).buffer;
    const theirs = await parquetReadObjects({
      file: bytes,
      compressors,
      columns: ['delay', 'origin'],
    });
    const source = folder.of(publicData('flights-3m.parquet'));
    expect((await describeOf(source)).rowCount).toBe(theirs.length);
    const request = { source, sizeBytes: bytes.byteLength };
    const profile = await perform({ operation: 'profile', request, limits: folder.limits });
    const ofDelay = (profile as TableProfile).columns.find(({ column }) => column.name === 'delay');
    const delays = theirs.map((row): unknown => row['delay']);
    expect((ofDelay?.mean ?? NaN) * theirs.length).toBeCloseTo(sum(delays), 0);
    const rows = (await rowsOf(source)).slice(0, 1000);
    for (const name of ['delay', 'origin']) {
      expect(rows.map((row) => String(row[name]))).toEqual(
        theirs.slice(0, 1000).map((row) => String(row[name])),
      );
    }
  }, 60_000);

  it('Arrow, by flechette', async () => {
    const theirs = tableFromIPC(await readFile(publicData('flights-200k.arrow')));
    await expectSame(await copied('flights-200k.arrow'), theirs.toArray(), theirs.names);
  });

  it.each(['cars.json', 'movies.json', 'penguins.json', 'barley.json'])(
    '%s, by JSON.parse, as one record a line too',
    async (name) => {
      const theirs = await records(name);
      const columns = [...new Set(theirs.flatMap((row) => Object.keys(row)))];
      await expectSame(await copied(name), theirs, columns);
      const lines = theirs.map((row) => JSON.stringify(row)).join('\n');
      const source = await folder.source(name.replace('json', 'ndjson'), lines);
      await expectSame(source, theirs, columns);
    },
  );

  it('as a workbook, by read-excel-file', async () => {
    const cars = await records('cars.json');
    const columns = Object.keys(cars[0] ?? {});
    const cells = cars.map((row) => columns.map((name) => row[name] as string | number | null));
    const bytes = Buffer.from(
      await writeXlsx({ sheets: [{ name: 'Cars', rows: [columns, ...cells] }] }),
    );
    const [names = [], ...values] = (await readExcel(bytes))[0]?.data ?? [];
    const theirs = values.map((row) =>
      Object.fromEntries(names.map((name, at): [string, unknown] => [String(name), row[at]])),
    );
    await expectSame(await folder.source('cars.xlsx', bytes), theirs, columns);
  });

  it.each(['null', 'deflate'])('as Avro (%s), by a decoder of its own', async (codec) => {
    const cars = (await records('cars.json')).map((row) => ({
      Name: row['Name'],
      Cylinders: row['Cylinders'],
      Weight: row['Weight_in_lbs'],
      Horsepower: row['Horsepower'] === null ? null : Number(row['Horsepower']),
    }));
    const type = avro.Type.forSchema({
      type: 'record',
      name: 'Car',
      fields: [
        { name: 'Name', type: 'string' },
        { name: 'Cylinders', type: 'int' },
        { name: 'Weight', type: 'long' },
        { name: 'Horsepower', type: ['null', 'double'] },
      ],
    });
    const at = `${folder.directory}/cars-${codec}.avro`;
    const encoder = new avro.streams.BlockEncoder(type, { codec });
    const written = pipeline(encoder, createWriteStream(at));
    for (const car of cars) encoder.write(car);
    encoder.end();
    await written;
    const theirs = decodeAvro(await readFile(at));
    expect(theirs).toEqual(cars);
    await expectSame(folder.of(at), theirs, ['Name', 'Cylinders', 'Weight', 'Horsepower']);
  });
});
