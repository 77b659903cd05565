import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { parquetReadObjects } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { readFile } from 'node:fs/promises';
import type { SampleMethod } from '../../core/contracts/tables.js';
import { TableFolder } from '../../../test/builders/tables.js';
import { perform } from '../worker/operations.js';
import type { ProduceRequest } from './produce.js';
import type { TableSource } from './source.js';

let folder: TableFolder;
let numbers: TableSource;
let made = 0;

beforeAll(async () => {
  folder = await TableFolder.make();
  numbers = await parquet(
    `SELECT i AS id, 'g' || (i % 10 < 1)::INTEGER AS g, TIMESTAMP '2026-01-01' + i * INTERVAL 1 HOUR AS at
     FROM range(20000) t(i)`,
  );
});
afterAll(() => folder.remove());

async function parquet(select: string): Promise<TableSource> {
  const source = folder.of(`${folder.directory}/source-${(made += 1)}.parquet`);
  await folder.session((session) =>
    session.run(`COPY (${select}) TO '${source.path}' (FORMAT parquet)`),
  );
  return source;
}

async function produce(
  work: ProduceRequest['work'],
  tables: readonly TableSource[],
): Promise<Record<string, unknown>[]> {
  const output = `${folder.directory}/made-${(made += 1)}.parquet`;
  const request = { work, tables, format: 'parquet' as const };
  await perform({ operation: 'produce', request, limits: folder.limits, output });
  const file = await readFile(output);
  return parquetReadObjects({
    file: file.buffer.slice(file.byteOffset, file.byteOffset + file.length),
    compressors,
  });
}

const sample = async (method: SampleMethod, tables = [numbers]) =>
  (await produce({ kind: 'sample', method }, tables)).map(({ id }) => Number(id));

describe('a random sample', () => {
  it('has as many rows as were asked for, each once, in their order, and the same again', async () => {
    const first = await sample({ kind: 'random', rows: 500, seed: 1 });
    expect(first).toHaveLength(500);
    expect(new Set(first).size).toBe(500);
    expect(first).toEqual(first.toSorted((a, b) => a - b));
    expect(await sample({ kind: 'random', rows: 500, seed: 1 })).toEqual(first);
    expect(await sample({ kind: 'random', rows: 500, seed: 2 })).not.toEqual(first);
    expect(await sample({ kind: 'random', rows: 100_000, seed: 2 })).toHaveLength(20_000);
  });

  it('is the same whatever the table is stored as, and however its columns are called', async () => {
    const method = { kind: 'random', rows: 300, seed: 7 } as const;
    const wanted = await sample(method);
    const lines = Array.from({ length: 20_000 }, (_, id) => `${id},x`).join('\n');
    const csv = await folder.source('numbers.csv', `id,name\n${lines}\n`);
    expect(await sample(method, [csv])).toEqual(wanted);
    const named = await parquet('SELECT i AS id, -i AS "File_Row_Number" FROM range(20000) t(i)');
    expect(await sample(method, [named])).toEqual(wanted);
    const halves = [
      await parquet('SELECT i AS id FROM range(9000) t(i)'),
      await parquet('SELECT i AS id FROM range(9000, 20000) t(i)'),
    ];
    expect(await sample(method, halves)).toEqual(wanted);
  });

  it('is of all parts of the table alike, however small it is', async () => {
    const bins = Array.from({ length: 10 }, () => 0);
    for (let seed = 0; seed < 60; seed += 1) {
      for (const id of await sample({ kind: 'random', rows: 5, seed })) {
        bins[Math.floor(id / 2000)]! += 1;
      }
    }
    // Chi-square with 9 degrees of freedom; seeds are fixed, so this is the same at every run.
    const chiSquare = bins.reduce((sum, count) => sum + (count - 30) ** 2 / 30, 0);
    expect(chiSquare).toBeLessThan(21.67);
  });
});

describe('other samples', () => {
  it('take each row with a probability', async () => {
    const some = await sample({ kind: 'bernoulli', share: 0.1, seed: 3 });
    expect(some.length).toBeGreaterThan(1800);
    expect(some.length).toBeLessThan(2200);
    expect(await sample({ kind: 'bernoulli', share: 0, seed: 3 })).toEqual([]);
    expect(await sample({ kind: 'bernoulli', share: 1, seed: 3 })).toHaveLength(20_000);
  });

  it('take each so-manieth row', async () => {
    const some = await sample({ kind: 'systematic', every: 5000, start: 2 });
    expect(some).toEqual([2, 5002, 10_002, 15_002]);
  });

  it.each([
    ['proportional', 10, 90],
    ['equal', 50, 50],
  ] as const)('take %s shares of groups', async (allocation, few, many) => {
    const method = { kind: 'stratified', rows: 100, by: ['g'], allocation, seed: 4 } as const;
    const ids = await sample(method);
    expect(ids).toHaveLength(100);
    expect(ids.filter((id) => id % 10 < 1)).toHaveLength(few);
    expect(ids.filter((id) => id % 10 >= 1)).toHaveLength(many);
  });

  it('take the first rows, of the table or by a column', async () => {
    expect(await sample({ kind: 'first', rows: 3 })).toEqual([0, 1, 2]);
    const top = { kind: 'top', rows: 2, column: 'id' } as const;
    expect(await sample({ ...top, descending: true })).toEqual([19_999, 19_998]);
    expect(await sample({ ...top, descending: false })).toEqual([0, 1]);
  });

  it('take the rows of a time', async () => {
    const [from, to] = ['2026-01-01T05:00:00', '2026-01-01T07:00:00'];
    const method = { kind: 'time-range', column: 'at' } as const;
    expect(await sample({ ...method, from, to })).toEqual([5, 6]);
    expect(await sample({ ...method, from: null, to: '2026-01-01' })).toEqual([]);
    await expect(sample({ ...method, column: 'id', from, to })).rejects.toThrow('is of type int64');
  });

  it('are of several tables of the same columns', async () => {
    const more = await parquet(`SELECT 1 AS id UNION ALL SELECT 2`);
    const same = await parquet(`SELECT 3 AS id`);
    expect(await sample({ kind: 'first', rows: 9 }, [more, same])).toEqual([1, 2, 3]);
    await expect(sample({ kind: 'first', rows: 9 }, [more, numbers])).rejects.toThrow('differ');
    await expect(
      sample({ kind: 'top', rows: 9, column: 'none', descending: true }, [more]),
    ).rejects.toThrow('no column');
  });
});

describe('the difference of two tables', () => {
  const base = () =>
    parquet(
      `SELECT * FROM (VALUES (1, 'a', 1.5), (2, 'b', NULL), (3, 'c', 2), (4, 'd', 4)) t(id, name, v)`,
    );

  it('has a row for each key that came, went or changed', async () => {
    const head = await parquet(
      `SELECT * FROM (VALUES (1, 'a', 1.5), (2, 'x', 7), (4, 'd', NULL), (5, 'e', 5)) t(id, name, v)`,
    );
    const rows = await produce({ kind: 'diff', key: ['id'] }, [await base(), head]);
    expect(rows.map(({ id, change, columns }) => [id, change, columns])).toEqual([
      [2, 'changed', ['name', 'v']],
      [3, 'removed', []],
      [4, 'changed', ['v']],
      [5, 'added', []],
    ]);
    expect(JSON.parse(String(rows[0]?.['before']))).toEqual({ name: 'b', v: null });
    expect(rows[3]).toMatchObject({ before: null, after: '{"name":"e","v":5.0}' });
  });

  it('is nothing where nothing changed, and needs keys that tell rows apart', async () => {
    expect(await produce({ kind: 'diff', key: ['id'] }, [await base(), await base()])).toEqual([]);
    const twice = await parquet(`SELECT 1 AS id, 'a' AS name, 1.5 AS v UNION ALL SELECT 1, 'b', 2`);
    const work = { kind: 'diff', key: ['id'] } as const;
    await expect(produce(work, [await base(), twice])).rejects.toThrow('more than one row');
    await expect(produce({ ...work, key: ['no'] }, [twice, twice])).rejects.toThrow('no column');
  });
});

describe('reports', () => {
  const report = (kind: 'profile' | 'correlation' | 'quality', source: TableSource) =>
    perform({ operation: 'report', request: { source, kind }, limits: folder.limits });

  it('correlate columns of numbers', async () => {
    const source = await parquet(
      `SELECT i AS a, -2 * i AS b, 1 AS c, 'x' AS text, 'NaN'::DOUBLE AS d FROM range(100) t(i)`,
    );
    const found = (await report('correlation', source)) as { matrix: (number | null)[][] };
    expect(found).toMatchObject({ columns: ['a', 'b', 'c', 'd'] });
    expect(found.matrix[0]?.[0]).toBeCloseTo(1);
    expect(found.matrix[0]?.[1]).toBeCloseTo(-1);
    expect(found.matrix[1]?.[0]).toBeCloseTo(-1);
    expect(found.matrix[0]?.[2]).toBeNull();
  });

  it('tell what is doubtful', async () => {
    const source = await folder.source(
      'doubt.csv',
      `id,same,mix,v\n${Array.from({ length: 50 }, (_, n) => `${n},k,${n % 2 ? 'x' : n},${n % 5}`).join('\n')}\n51,k,x,1000000\n51,k,x,1000000\n52,k,x,\n`,
    );
    expect(await report('quality', source)).toMatchObject({
      rowCount: 53,
      duplicateRows: 1,
      columns: [
        { name: 'id', constant: false, mixedTypes: false },
        { name: 'same', constant: true },
        { name: 'mix', mixedTypes: true },
        { name: 'v', nulls: 1, outliers: 2 },
      ],
    });
  });

  it('profile', async () => {
    expect(await report('profile', numbers)).toMatchObject({ rowCount: 20_000 });
    expect(await report('quality', await folder.source('a.png', 'x'))).toBeNull();
  });
});
