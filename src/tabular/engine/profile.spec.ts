import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readFile } from 'node:fs/promises';
import { TableFolder, publicData } from '../../../test/builders/tables.js';
import { perform } from '../worker/operations.js';
import { interpolatedHistogram } from './histogram.js';
import type { TableProfile } from './profile.js';
import type { TableSource } from './source.js';

let folder: TableFolder;
beforeAll(async () => {
  folder = await TableFolder.make();
});
afterAll(() => folder.remove());

async function profile(source: TableSource, sizeBytes = 1): Promise<TableProfile> {
  const request = { source, sizeBytes };
  return (await perform({ operation: 'profile', request, limits: folder.limits })) as TableProfile;
}

async function parquet(name: string, select: string): Promise<TableSource> {
  const source = folder.of(`${folder.directory}/${name}`);
  await folder.session((session) =>
    session.run(`COPY (${select}) TO '${source.path}' (FORMAT parquet)`),
  );
  return source;
}

describe('a profile', () => {
  it('agrees with what is counted by hand', async () => {
    const text = await readFile(publicData('stocks.csv'), 'utf8');
    const lines = text
      .trim()
      .split(/\r?\n/)
      .slice(1)
      .map((line) => line.split(','));
    const prices = lines.map((line) => Number(line[2]));
    const mean = prices.reduce((sum, price) => sum + price, 0) / prices.length;
    const { rowCount, columns } = await profile(await folder.source('stocks.csv', text));
    expect(rowCount).toBe(lines.length);
    const [symbol, , price] = columns;
    const most = Object.entries(Object.groupBy(lines, ([name = '']) => name)).map(
      ([value, some = []]) => ({ value, count: some.length }),
    );
    expect(symbol?.frequent).toHaveLength(most.length);
    expect(symbol?.frequent).toEqual(expect.arrayContaining(most));
    expect(symbol).toMatchObject({ nulls: 0, mean: null, quantiles: null, histogram: null });
    expect(price).toMatchObject({
      count: prices.length,
      minimum: Math.min(...prices),
      maximum: Math.max(...prices),
      notFinite: 0,
    });
    expect(price?.mean).toBeCloseTo(mean, 9);
    const bins = price?.histogram?.bins ?? [];
    expect(price?.histogram?.approximate).toBe(false);
    expect(bins.reduce((sum, { count }) => sum + count, 0)).toBe(prices.length);
    expect(bins[0]?.count).toBe(prices.filter((each) => each < (bins[0]?.to ?? 0)).length);
  });

  it('bears NaN, infinities and what overflows', async () => {
    const source = await parquet(
      'floats.parquet',
      `SELECT unnest(['NaN'::DOUBLE, 'Infinity', '-Infinity', 1, 3, NULL, 1e308, -1e308]) AS x`,
    );
    const { columns, rowCount } = await profile(source);
    expect(rowCount).toBe(8);
    expect(columns[0]).toMatchObject({
      count: 7,
      nulls: 1,
      notFinite: 3,
      minimum: -1e308,
      maximum: 1e308,
    });
    const bins = columns[0]?.histogram?.bins ?? [];
    expect(bins.reduce((sum, { count }) => sum + count, 0)).toBe(4);
    expect(bins.at(-1)?.count).toBe(1);
  });

  it('counts a small table’s values and bins exactly', async () => {
    const source = await parquet(
      'counted.parquet',
      `SELECT i - 50 AS n, CASE WHEN i % 4 = 0 THEN '' WHEN i % 4 = 1 THEN 'it''s' WHEN i % 4 = 2 THEN NULL
         ELSE 'x' || i END AS t, 9007199254740993 + i % 2 AS near FROM range(101) t(i)`,
    );
    const { columns } = await profile(source);
    const [n, t, near] = columns;
    const bins = n?.histogram?.bins ?? [];
    const numbers = Array.from({ length: 101 }, (_, i) => i - 50);
    expect(bins.map(({ count }) => count)).toEqual(
      bins.map(
        ({ from, to }) =>
          numbers.filter((each) => each >= from && (each < to || (each === 50 && to === 50)))
            .length,
      ),
    );
    expect(t?.frequent.slice(0, 2)).toEqual([
      { value: '', count: 26 },
      { value: "it's", count: 25 },
    ]);
    expect(near?.histogram?.bins.reduce((sum, { count }) => sum + count, 0)).toBe(101);
  });

  it('is there for every type', async () => {
    const source = await parquet(
      'types.parquet',
      `SELECT 9007199254740993 + i AS big, DATE '2026-01-01' + i::INTEGER AS d, i % 2 = 0 AS b, [i] AS l,
         {'a': i} AS s, 'x'::BLOB AS bin, (i / 3)::DECIMAL(9,2) AS dec, NULL::VARCHAR AS nothing, TIMESTAMP '2026-01-01' AS ts
       FROM range(10) t(i)`,
    );
    const { columns } = await profile(source);
    const of = (name: string) => columns.find(({ column }) => column.name === name);
    expect(of('big')).toMatchObject({ minimum: '9007199254740993', distinct: expect.any(Number) });
    expect(of('d')).toMatchObject({ minimum: '2026-01-01', maximum: '2026-01-10' });
    expect(of('b')?.frequent).toEqual(
      expect.arrayContaining([
        { value: 'true', count: 5 },
        { value: 'false', count: 5 },
      ]),
    );
    expect(of('l')).toMatchObject({ count: 10, distinct: null, minimum: null });
    expect(of('nothing')).toMatchObject({ count: 0, nulls: 10, minimum: null, frequent: [] });
    expect(of('dec')?.quantiles).not.toBeNull();
  });

  it('of a large table reads it once, and says what it only estimates', async () => {
    const source = await parquet('large.parquet', 'SELECT i::DOUBLE AS x FROM range(100000) t(i)');
    const { columns } = await profile(source, 1e12);
    const histogram = columns[0]?.histogram;
    expect(histogram?.approximate).toBe(true);
    expect(histogram?.bins.reduce((sum, { count }) => sum + count, 0)).toBe(100_000);
    for (const { count } of histogram?.bins ?? []) {
      expect(count).toBeGreaterThan(4_000);
      expect(count).toBeLessThan(6_000);
    }
  });

  it('of an empty table has nothing but its columns', async () => {
    const { rowCount, columns } = await profile(await folder.source('empty.csv', 'a,b\n'));
    expect(rowCount).toBe(0);
    expect(columns.map(({ count, minimum }) => [count, minimum])).toEqual([
      [0, null],
      [0, null],
    ]);
  });

  it('of 5,000 columns is made within its memory', async () => {
    const names = Array.from({ length: 5000 }, (_, n) => `c${n}`).join(',');
    const values = Array.from({ length: 5000 }, (_, n) => String(n)).join(',');
    const { columns } = await profile(
      await folder.source('wide.csv', `${names}\n${values}\n${values}\n`),
    );
    expect(columns).toHaveLength(5000);
    expect(columns[4999]).toMatchObject({ count: 2, minimum: 4999 });
  });
});

describe('a histogram from quantiles', () => {
  it('of one value is one bar, and of none nothing', () => {
    expect(interpolatedHistogram(3, 3, [3, 3, 3], 7, 4)).toEqual({
      approximate: false,
      bins: [{ from: 3, to: 3, count: 7 }],
    });
    expect(interpolatedHistogram(0, 1, [0, 1], 0, 4)).toBeNull();
    expect(interpolatedHistogram(0, Infinity, [0, 1], 4, 4)).toBeNull();
  });
});
