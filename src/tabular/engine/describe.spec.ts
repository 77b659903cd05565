import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { TableFolder, expectProblem } from '../../../test/builders/tables.js';
import { perform } from '../worker/operations.js';
import type { TableDescription } from './describe.js';
import type { ReaderOptions } from './source.js';

let folder: TableFolder;
beforeAll(async () => {
  folder = await TableFolder.make();
});
afterAll(() => folder.remove());

async function read(
  name: string,
  content: string | Uint8Array,
  options?: ReaderOptions,
): Promise<TableDescription | null> {
  const source = await folder.source(name, content, options);
  const request = { source, full: true };
  return (await perform({
    operation: 'describe',
    request,
    limits: folder.limits,
  })) as TableDescription | null;
}

const shape = (table: TableDescription | null) =>
  table && [table.rowCount, ...table.columns.map(({ name, type }) => `${name}:${type}`)];

describe('CSV', () => {
  it.each([
    ['a.csv', 'id,name\n1,x\n2,"y, ""z"""\n', ',', [2, 'id:int64', 'name:string']],
    ['b.csv', 'id;price\n1;2,5\n2;3,5\n', ';', [2, 'id:int64', 'price:string']],
    ['c.tsv', 'id\tname\n1\tx\n', '\t', [1, 'id:int64', 'name:string']],
    ['d.csv', 'id|d\n1|2020-01-02\n2|2021-03-04\n', '|', [2, 'id:int64', 'd:date']],
    ['one.csv', 'n\n1\n2\n', ',', [2, 'n:int64']],
    ['crlf.csv', 'a,b\r\n1,true\r\n', ',', [1, 'a:int64', 'b:boolean']],
    ['lines.csv', 'a,b\n1,"two\nlines"\n2,x\n', ',', [2, 'a:int64', 'b:string']],
    ['empty.csv', 'a,b\n', ',', [0, 'a:string', 'b:string']],
  ])('%s is read for what it is', async (name, content, delimiter, expected) => {
    const table = await read(name, content);
    expect(shape(table)).toEqual(expected);
    expect(table).toMatchObject({ options: { delimiter, header: true } });
  });

  it('says what it guessed', async () => {
    expect((await read('g.csv', 'a,b\n1,2\n'))?.guessed).toEqual([
      'delimiter',
      'header',
      'encoding',
    ]);
    const told = { delimiter: ',', header: false, encoding: 'utf-8' } as const;
    const table = await read('told.csv', 'a,b\n1,2\n', told);
    expect(table).toMatchObject({ rowCount: 2, guessed: [], options: told });
  });

  it('skips lines before the table where it is told to', async () => {
    const table = await read('skip.csv', 'made by nobody\na,b\n1,2\n', { skip: 1 });
    expect(shape(table)).toEqual([1, 'a:int64', 'b:int64']);
  });

  it.each([
    ['bom.csv', Buffer.from('\ufeffnäme,b\nü,1\n'), 'utf-8'],
    ['le.csv', Buffer.from('\ufeffnäme,b\nü,1\n', 'utf16le'), 'utf-16le'],
    ['be.csv', Buffer.from('\ufeffnäme,b\nü,1\n', 'utf16le').swap16(), 'utf-16be'],
    ['latin.csv', Buffer.from('näme,b\nü,1\n', 'latin1'), 'windows-1252'],
    ['nobom.csv', Buffer.from('name,b\nx,1\ny,2\n', 'utf16le'), 'utf-16le'],
  ])('%s is decoded', async (name, content, encoding) => {
    const table = await read(name, content);
    expect(table?.options.encoding).toBe(encoding);
    expect(table?.columns.map((column) => column.name)).toEqual([
      encoding === 'utf-16le' && name === 'nobom.csv' ? 'name' : 'näme',
      'b',
    ]);
  });

  it('reads what is compressed', async () => {
    const text = `a,b\n${'1,2\n'.repeat(5000)}`;
    expect((await read('z.csv.gz', gzipSync(text)))?.rowCount).toBe(5000);
    expect((await read('z.csv.zst', zstdCompressSync(text)))?.rowCount).toBe(5000);
  });

  it('takes the types from all of the file where a sample of it misleads', async () => {
    const table = await read('late.csv', `a,b\n${'1,2\n'.repeat(50_000)}x,2\n`);
    expect(shape(table)).toEqual([50_001, 'a:string', 'b:int64']);
    expect(table?.wholeSample).toBe(true);
  });

  it('never rounds whole numbers that 64 bits do not hold', async () => {
    const table = await read('large.csv', 'a,b,c\n18446744073709551615,1.5,1\n5,2,2\n');
    expect(shape(table)).toEqual([2, 'a:int128', 'b:float64', 'c:int64']);
    const larger = '9'.repeat(45);
    expect(shape(await read('larger.csv', `a\n${larger}\n7\n`))).toEqual([2, 'a:string']);
    const later = `a,b\n${'1,2\n'.repeat(60_000)}18446744073709551615,2\n`;
    expect(shape(await read('later.csv', later))).toEqual([60_001, 'a:int128', 'b:int64']);
    const mixed = `a\n18446744073709551615\n0.5\n`;
    expect(shape(await read('mixed.csv', mixed))).toEqual([2, 'a:float64']);
  });

  it('takes dates in several formats for texts', async () => {
    const table = await read(
      'dates.csv',
      'd,at,e\n2020-01-01,2020-01-01 00:00:00,2020-01-01\n31/12/2020,31/12/2020 10:00:00,2020-01-02\n',
    );
    expect(shape(table)).toEqual([2, 'd:string', 'at:string', 'e:string']);
    const one = await read('date.csv', `d\n${'01/02/2020\n'.repeat(50_000)}31/12/2020\n`);
    expect(shape(one)).toEqual([50_001, 'd:date']);
  });

  it('gives every column a name of its own', async () => {
    const table = await read('names.csv', 'a,a,,__proto__,A\n1,2,3,4,5\n');
    const names = table?.columns.map(({ name }) => name.toLowerCase()) ?? [];
    expect(new Set(names).size).toBe(5);
    expect(names).toContain('__proto__');
  });

  it('tells where values are missing', async () => {
    const table = await read('nulls.csv', 'a,b\n1,\n2,x\n');
    expect(table?.columns.map(({ nullable }) => nullable)).toEqual([false, true]);
  });

  it.each([
    ['unclosed.csv', 'id,name\n1,x\n2,"y\n3,z\n4,w\n', 'malformed'],
    ['ragged.csv', `a,b\n${'1,2\n'.repeat(50_000)}1,2,3\n1,2\n`, 'malformed'],
    ['wide.csv', `${'x,'.repeat(100_000)}y\n`, 'too-large'],
    ['cut.csv.gz', gzipSync(`a,b\n${'1,2\n'.repeat(50_000)}`).subarray(0, -20), 'truncated'],
    [
      'bad.csv.gz',
      Buffer.concat([gzipSync('a,b\n1,2\n').subarray(0, 12), Buffer.alloc(200, 7)]),
      'malformed',
    ],
    ['longline.csv', `a,b\n1,${'x'.repeat(5_000_000)}\n`, 'too-large'],
  ])('%s has a problem with a name', async (name, content, code) => {
    await expectProblem(read(name, content), code);
  });

  it('bears NUL bytes', async () => {
    expect((await read('nul.csv', 'a,b\n1,x\0y\n2,z\n'))?.rowCount).toBe(2);
  });
});

describe('JSON', () => {
  it.each([
    ['list.json', '[{"a":1,"b":"x"},{"a":2,"b":null}]', [2, 'a:int64', 'b:string']],
    ['lines.ndjson', '{"a":1}\n{"a":2.5}\n', [2, 'a:float64']],
    ['lines.json', '{"a":1}\n{"a":2}\n', [2, 'a:int64']],
    ['one.json', '{"a":1,"b":{"c":[1,2]}}', [1, 'a:int64', 'b:struct']],
    ['records.json', '{"x":{"a":1},"y":{"a":2,"b":"z"}}', [2, 'key:string', 'a:int64', 'b:string']],
    [
      'proto.json',
      '[{"__proto__":1,"constructor":2}]',
      [1, '__proto__:int64', 'constructor:int64'],
    ],
  ])('%s is read for what it is', async (name, content, expected) => {
    expect(shape(await read(name, content))).toEqual(expected);
  });

  it('tells nested fields', async () => {
    const table = await read('nested.json', '[{"b":{"c":[{"d":1}]}}]');
    expect(table?.columns).toMatchObject([
      {
        name: 'b',
        type: 'struct',
        fields: [
          {
            name: 'c',
            type: 'list',
            fields: [{ type: 'struct', fields: [{ name: 'd', type: 'int64' }] }],
          },
        ],
      },
    ]);
  });

  it.each([
    ['cut.json', '[{"a":1},{"a":2}'],
    ['deep.json', '['.repeat(100_000)],
    ['deepobject.json', '{"a":'.repeat(100_000)],
    ['text.json', 'hello'],
  ])('%s has a problem with a name', async (name, content) => {
    const failed = read(name, content).then(
      () => 'read',
      (error: { code?: string }) => error.code,
    );
    expect(['malformed', 'truncated']).toContain(await failed);
  });
});

it('is no table where neither content nor name says so', async () => {
  expect(await read('a.png', Buffer.from([0x89, 0x50, 0x4e, 0x47]))).toBeNull();
  expect(await read('README.md', 'a,b\n1,2\n')).toBeNull();
  expect(await read('nothing.csv', '')).toBeNull();
  expect(await read('archive.zip', Buffer.from('PK\x03\x04'))).toBeNull();
});
