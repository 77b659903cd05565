import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  Binary,
  Bool,
  DateDay,
  Field,
  Int32,
  List,
  Struct,
  TimestampMicrosecond,
  Utf8,
  tableFromArrays,
  tableToIPC,
  vectorFromArray,
  Table,
} from 'apache-arrow';
import avro from 'avsc';
import { writeXlsx } from 'hucre/xlsx';
import { createWriteStream } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { crc32, deflateRawSync } from 'node:zlib';
import { compress } from 'snappyjs';
import readExcel from 'read-excel-file/node';
import { TableFolder, expectProblem, publicData } from '../../../../test/builders/tables.js';
import { zipOf } from '../../../../test/builders/zip-file.js';
import { bigLong } from './avro-values.js';
import { perform } from '../../worker/operations.js';
import type { TableDescription } from '../describe.js';
import type { RowsPage } from '../rows.js';
import type { TableSource } from '../source.js';

let folder: TableFolder;
beforeAll(async () => {
  folder = await TableFolder.make();
});
afterAll(() => folder.remove());

async function describeOf(source: TableSource): Promise<TableDescription> {
  const request = { source, full: true };
  const answer = await perform({ operation: 'describe', request, limits: folder.limits });
  return answer as TableDescription;
}

async function rowsOf(source: TableSource, limit = 1000): Promise<Record<string, unknown>[]> {
  const rows = {
    columns: null,
    where: null,
    orderBy: [],
    offset: 0,
    limit,
    format: 'json' as const,
  };
  const page = await perform({
    operation: 'rows',
    request: { source, rows },
    limits: folder.limits,
  });
  return JSON.parse(`[${Buffer.from((page as RowsPage).body).toString()}]`) as Record<
    string,
    unknown
  >[];
}

const shape = ({ rowCount, columns }: TableDescription) => [
  rowCount,
  ...columns.map(({ name, type }) => `${name}:${type}`),
];

const sum = (values: unknown[]) =>
  values.reduce<number>((total, value) => total + Number(value), 0);

describe('Excel', () => {
  const workbook = () =>
    writeXlsx({
      sheets: [
        {
          name: 'Prices',
          rows: [
            ['id', 'name', 'price', 'when', 'ok'],
            [1, 'x', 2.5, new Date(Date.UTC(2026, 0, 2)), true],
            [2, '=1+1', 3, new Date(Date.UTC(2026, 0, 3)), false],
            [3, null, null, null, null],
          ],
        },
        {
          name: 'Other',
          rows: [
            [1, 2],
            [3, 4],
          ],
        },
      ],
    });

  it('is a table for each sheet', async () => {
    const source = await folder.source('book.xlsx', await workbook());
    const table = await describeOf(source);
    expect(shape(table)).toEqual([
      3,
      'id:int64',
      'name:string',
      'price:float64',
      'when:date',
      'ok:boolean',
    ]);
    expect(table).toMatchObject({
      sheets: ['Prices', 'Other'],
      guessed: ['sheet', 'header'],
      options: { sheet: 'Prices', header: true },
    });
    const other = await describeOf({ ...source, options: { sheet: 'Other' } });
    expect(shape(other)).toEqual([2, 'column0:int64', 'column1:int64']);
    await expect(describeOf({ ...source, options: { sheet: 'None' } })).rejects.toThrow('no sheet');
  });

  it('holds what another reader finds', async () => {
    const bytes = Buffer.from(await workbook());
    const theirs = (await readExcel(bytes)).find(({ sheet }) => sheet === 'Prices')?.data ?? [];
    const rows = await rowsOf(await folder.source('theirs.xlsx', bytes));
    expect(rows).toHaveLength(theirs.length - 1);
    expect(sum(rows.map(({ price }) => price ?? 0))).toBe(
      sum(theirs.slice(1).map((row) => row[2] ?? 0)),
    );
  });

  it('is read where a range says so', async () => {
    const source = await folder.source('range.xlsx', await workbook(), { range: 'A1:B3' });
    expect(shape(await describeOf(source))).toEqual([2, 'id:int64', 'name:string']);
  });

  it('with a cell in the last corner is too large', async () => {
    const rows: unknown[][] = [['a'], [1]];
    rows[1]![16_383] = 1;
    const bytes = await writeXlsx({ sheets: [{ name: 'S', rows: rows as never }] });
    await expectProblem(describeOf(await folder.source('corner.xlsx', bytes)), 'too-large');
  });

  it('cut short is truncated', async () => {
    const bytes = (await workbook()).subarray(0, 900);
    await expectProblem(describeOf(await folder.source('cut.xlsx', bytes)), 'truncated');
  });

  it('from before 2007, or encrypted, has a problem with a name', async () => {
    const bytes = Buffer.from('d0cf11e0a1b11ae1'.padEnd(2048, '0'), 'hex');
    await expectProblem(describeOf(await folder.source('old.xlsx', bytes)), 'truncated');
  });
});

describe('a hostile workbook', () => {
  const part = (name: string, content: string) => ({ name, content });
  const bomb = '<worksheet>' + ' '.repeat(50_000_000) + '</worksheet>';

  it.each([
    ['bomb', [part('xl/worksheets/sheet1.xml', bomb)], 'too-large'],
    [
      'laughs',
      [part('xl/workbook.xml', '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>')],
      'malformed',
    ],
    [
      'files',
      [part('xl/sharedStrings.xml', '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>')],
      'malformed',
    ],
    ['parts', Array.from({ length: 10_001 }, (_, n) => part(`p${n}.bin`, '')), 'too-large'],
    ['none', [part('xl/workbook.xml', '<workbook/>')], 'malformed'],
  ])('%s has a problem with a name', async (name, parts, code) => {
    await expectProblem(describeOf(await folder.source(`${name}.xlsx`, zipOf(parts))), code);
  });
});

describe('Arrow', () => {
  const nested = () => {
    const type = new Struct([new Field('n', new Int32(), true)]);
    const table = new Table({
      id: vectorFromArray([1, 2, null], new Int32()),
      big: vectorFromArray([9007199254740993n, -1n, 0n]),
      text: vectorFromArray(['a', 'é', null], new Utf8()),
      bin: vectorFromArray([Buffer.from([0, 255]), null, Buffer.from('x')], new Binary()),
      day: vectorFromArray([new Date(Date.UTC(2026, 0, 2)), null, null], new DateDay()),
      at: vectorFromArray([Date.UTC(2026, 0, 2), null, null], new TimestampMicrosecond('UTC')),
      yes: vectorFromArray([true, false, null], new Bool()),
      list: vectorFromArray([[1, 2], [], null], new List(new Field('item', new Int32(), true))),
      struct: vectorFromArray([{ n: 1 }, { n: null }, null], type),
      ratio: vectorFromArray(new Float64Array([NaN, -Infinity, 0.5])),
    });
    return table;
  };

  it.each(['file', 'stream'] as const)('is read from a %s', async (kind) => {
    const source = await folder.source(`nested-${kind}.arrow`, tableToIPC(nested(), kind));
    const table = await describeOf(source);
    expect(table.rowCount).toBe(3);
    const [first, second] = await rowsOf(source);
    expect(first).toMatchObject({
      id: 1,
      big: '9007199254740993',
      text: 'a',
      bin: 'AP8=',
      day: '2026-01-02',
      yes: true,
      list: [1, 2],
      struct: { n: 1 },
      ratio: 'NaN',
    });
    expect(String(first?.['at'])).toContain('2026-01-02T00:00:00');
    expect(second).toMatchObject({ text: 'é', ratio: '-Infinity', list: [], bin: null });
  });

  it('cut short is a problem with a name', async () => {
    const bytes = tableToIPC(
      tableFromArrays({ a: Int32Array.from({ length: 5000 }, (_, n) => n) }),
      'file',
    );
    const source = await folder.source('cut.arrow', bytes.subarray(0, 3000));
    await expect(describeOf(source)).rejects.toMatchObject({ name: 'TableProblem' });
  });
});

describe('Avro', () => {
  const schema: avro.Schema = {
    type: 'record',
    name: 'R',
    fields: [
      { name: 'id', type: 'long' },
      { name: 'name', type: ['null', 'string'] },
      { name: 'ratio', type: 'double' },
      { name: 'day', type: { type: 'int', logicalType: 'date' } },
      { name: 'at', type: { type: 'long', logicalType: 'timestamp-millis' } },
      { name: 'price', type: { type: 'bytes', logicalType: 'decimal', precision: 9, scale: 2 } },
      { name: 'bytes', type: 'bytes' },
      { name: 'kind', type: { type: 'enum', name: 'K', symbols: ['A', 'B'] } },
      { name: 'tags', type: { type: 'array', items: 'string' } },
      { name: 'counts', type: { type: 'map', values: 'int' } },
      {
        name: 'in',
        type: { type: 'record', name: 'I', fields: [{ name: 'x', type: ['null', 'int'] }] },
      },
    ],
  };
  /** Has the library write a logical type down, and its values as they are. */
  class AsItIs extends avro.types.LogicalType {
    protected override _export(schema: avro.Schema) {
      const bytes = (schema as { type?: unknown }).type === 'bytes';
      if (bytes) Object.assign(schema, { precision: 9, scale: 2 });
    }
    protected override _fromValue = (value: unknown) => value;
    protected override _toValue = (value: unknown) => value;
  }
  const record = (id: bigint) => ({
    id,
    name: { string: 'é' },
    ratio: 0.5,
    day: 20_455,
    at: 1_767_312_000_123,
    price: Buffer.from([0xff, 0x38]),
    bytes: Buffer.from([0, 255]),
    kind: 'B',
    tags: ['x', 'y'],
    counts: { n: 1 },
    in: { x: { int: 7 } },
  });

  const CODECS = {
    null: (bytes: Buffer, done: (error: null, packed: Buffer) => void) => done(null, bytes),
    deflate: (bytes: Buffer, done: (error: null, packed: Buffer) => void) =>
      done(null, deflateRawSync(bytes)),
    /** Each block ends with the checksum of what it inflates to. */
    snappy: (bytes: Buffer, done: (error: null, packed: Buffer) => void) => {
      const sum = Buffer.alloc(4);
      sum.writeUInt32BE(crc32(bytes));
      done(null, Buffer.concat([compress(bytes), sum]));
    },
  };

  async function write(name: string, codec: string): Promise<TableSource> {
    const at = `${folder.directory}/${name}`;
    const type = avro.Type.forSchema(schema, {
      registry: { long: bigLong },
      wrapUnions: true,
      logicalTypes: { date: AsItIs, 'timestamp-millis': AsItIs, decimal: AsItIs },
    });
    const encoder = new avro.streams.BlockEncoder(type, { codec, codecs: CODECS });
    const written = pipeline(encoder, createWriteStream(at));
    for (let n = 0n; n < 500n; n += 1n) encoder.write(record(9007199254740993n + n));
    encoder.end();
    await written;
    return folder.of(at);
  }

  it.each(['null', 'deflate', 'snappy'])('is read with the codec %s', async (codec) => {
    const source = await write(`${codec}.avro`, codec);
    const table = await describeOf(source);
    expect(table.rowCount).toBe(500);
    expect((await rowsOf(source, 1))[0]).toMatchObject({
      id: '9007199254740993',
      name: 'é',
      ratio: 0.5,
      day: '2026-01-02',
      price: -2,
      bytes: 'AP8=',
      kind: 'B',
      tags: ['x', 'y'],
      counts: { n: 1 },
      in: { x: 7 },
    });
  });

  it('with a block that does not fit its checksum has a problem with a name', async () => {
    const bytes = await readFile((await write('sum.avro', 'snappy')).path);
    // Before the mark that ends the last block stands its checksum.
    bytes[bytes.length - 18]! ^= 1;
    await expectProblem(describeOf(await folder.source('summed.avro', bytes)), 'malformed');
  });

  it('cut short has a problem with a name', async () => {
    const whole = await readFile((await write('whole.avro', 'null')).path);
    const source = await folder.source('cut.avro', whole.subarray(0, whole.length - 300));
    await expect(describeOf(source)).rejects.toMatchObject({ name: 'TableProblem' });
    await writeFile(source.path, whole.subarray(0, 20));
    await expect(describeOf(source)).rejects.toMatchObject({ name: 'TableProblem' });
  });
});

describe('Parquet', () => {
  it('with a hole in it, cut short, or without columns has a problem with a name', async () => {
    const whole = await readFile(publicData('flights-3m.parquet'));
    const holed = Buffer.from(whole);
    holed.fill(0, 100_000, 400_000);
    await expectProblem(describeOf(await folder.source('hole.parquet', holed)), 'malformed');
    const cut = await folder.source('cut.parquet', whole.subarray(0, 1_000_000));
    await expectProblem(describeOf(cut), 'truncated');
    await expectProblem(describeOf(await folder.source('tiny.parquet', 'PAR1PAR1')), 'truncated');
    await expectProblem(describeOf(await folder.source('enc.parquet', 'PARE1234')), 'encrypted');
  });
});
