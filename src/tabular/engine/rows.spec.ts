import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { tableFromIPC } from 'apache-arrow';
import { TableFolder } from '../../../test/builders/tables.js';
import { perform } from '../worker/operations.js';
import { parseFilter } from '../where/parse.js';
import { parseColumns, parseOrder } from '../where/column-list.js';
import { readRows, type RowsPage, type RowsRequest } from './rows.js';
import type { TableSource } from './source.js';

let folder: TableFolder;
beforeAll(async () => {
  folder = await TableFolder.make();
});
afterAll(() => folder.remove());

const EVERYTHING: RowsRequest = {
  columns: null,
  where: null,
  orderBy: [],
  offset: 0,
  limit: 100,
  format: 'json',
};

it('leave an engine as it was, which serves again', async () => {
  const source = await parquet('many.parquet', 'SELECT i FROM range(100000) t(i)');
  for (const format of ['json', 'csv'] as const) {
    await folder.session(async (session) => {
      await readRows(session, source, { ...EVERYTHING, format });
      expect(session.isAsOpened).toBe(true);
    });
  }
});

async function page(source: TableSource, rows: Partial<RowsRequest> = {}): Promise<RowsPage> {
  const request = { source, rows: { ...EVERYTHING, ...rows } };
  return (await perform({ operation: 'rows', request, limits: folder.limits })) as RowsPage;
}

const json = async (source: TableSource, rows?: Partial<RowsRequest>) =>
  JSON.parse(`[${Buffer.from((await page(source, rows)).body).toString()}]`) as unknown[];

/** A Parquet file with the rows of a SELECT. */
async function parquet(name: string, select: string): Promise<TableSource> {
  const source = folder.of(`${folder.directory}/${name}`);
  await folder.session((session) =>
    session.run(`COPY (${select}) TO '${source.path}' (FORMAT parquet)`),
  );
  return source;
}

describe('rows as JSON', () => {
  it('keep every value exactly', async () => {
    const source = await parquet(
      'exact.parquet',
      `SELECT 9007199254740993::BIGINT big, 5::BIGINT small, -9007199254740993::BIGINT low,
         18446744073709551615::UBIGINT ubig,
         0.1::DECIMAL(4,2) AS dec, 12345678901234567890.123456::DECIMAL(38,6) AS wide,
         'NaN'::DOUBLE nan, '-Infinity'::DOUBLE ninf, 'Infinity'::FLOAT inf, 0.5::DOUBLE half,
         DATE '2026-11-20' d, TIMESTAMP '2026-11-20 12:30:00.25' ts,
         TIMESTAMPTZ '2026-11-20 12:30:00+02' tz, TIME '01:02:03' t, '\\x00\\xFF'::BLOB bin,
         [9007199254740993, 1] l, {'n': 'NaN'::DOUBLE, 'b': 9007199254740993} s,
         MAP {'k': 9007199254740993} m, NULL::BIGINT nobig, NULL::DOUBLE nodouble, NULL::INTEGER[] nolist,
         TIMESTAMP '2026-11-20 12:30:00' whole, TIMESTAMP '0001-02-03 04:05:06' early,
         TIMESTAMP 'infinity' never, TIMESTAMP '1969-12-31 23:59:59.5' AS prior, NULL::TIMESTAMP nowhen,
         TIMESTAMP_NS '2026-11-20 12:30:00.000000001' ns, TIMESTAMP_S '2026-11-20 12:30:00' s0,
         true AS yes, 'x' "__proto__", INTERVAL 1 DAY iv, uuid '00000000-0000-0000-0000-000000000001' u`,
    );
    const text = Buffer.from((await page(source)).body).toString();
    expect(text).toContain('"__proto__":"x"');
    expect(JSON.parse(text)).toMatchObject({
      big: '9007199254740993',
      small: 5,
      low: '-9007199254740993',
      ubig: '18446744073709551615',
      dec: 0.1,
      wide: '12345678901234567890.123456',
      nan: 'NaN',
      ninf: '-Infinity',
      inf: 'Infinity',
      half: 0.5,
      d: '2026-11-20',
      ts: '2026-11-20T12:30:00.25',
      whole: '2026-11-20T12:30:00',
      early: '0001-02-03T04:05:06',
      never: 'infinity',
      prior: '1969-12-31T23:59:59.5',
      nowhen: null,
      ns: '2026-11-20T12:30:00.000000001',
      s0: '2026-11-20T12:30:00',
      tz: '2026-11-20T10:30:00Z',
      t: '01:02:03',
      bin: 'AP8=',
      l: ['9007199254740993', 1],
      s: { n: 'NaN', b: '9007199254740993' },
      m: [{ key: 'k', value: '9007199254740993' }],
      nobig: null,
      nodouble: null,
      nolist: null,
      yes: true,
      iv: '1 day',
      u: '00000000-0000-0000-0000-000000000001',
    });
  });

  it('come page by page, each row once, however they are sorted', async () => {
    const source = await parquet('pages.parquet', `SELECT i AS id, i % 3 AS g FROM range(25) t(i)`);
    const seen: unknown[] = [];
    for (let offset = 0; ;) {
      const rows = {
        offset,
        limit: 10,
        orderBy: parseOrder('g:desc'),
        columns: parseColumns('id,g'),
      };
      const some = await page(source, rows);
      seen.push(...(JSON.parse(`[${Buffer.from(some.body).toString()}]`) as unknown[]));
      offset += some.rowCount;
      if (!some.more) break;
    }
    expect(new Set(seen.map((row) => (row as { id: number }).id)).size).toBe(25);
    expect(seen).toHaveLength(25);
    expect(seen[0]).toEqual({ id: 2, g: 2 });
  });

  it('are found behind the place where the types of a sample end to fit', async () => {
    const lines = Array.from({ length: 60_000 }, (_, id) => `${id},${id === 59_000 ? 'x' : 1}`);
    const source = await folder.source('late.csv', `id,v\n${lines.join('\n')}\n`);
    const found = await json(source, { where: parseFilter('id in (1, 59000, 59999)') });
    expect(found).toEqual([
      { id: 1, v: '1' },
      { id: 59_000, v: 'x' },
      { id: 59_999, v: '1' },
    ]);
  });

  it.each([
    ['numbered by their file', 'i AS id'],
    ['called as the numbers of their file are', 'i AS "File_Row_Number"'],
  ])('begin in the middle of rows that are %s', async (_, columns) => {
    const select = `SELECT ${columns} FROM range(300000) t(i)`;
    const source = await parquet(`middle-${columns.length}.parquet`, select);
    const at = async (offset: number) => {
      const { body, rowCount, more } = await page(source, { offset, limit: 3 });
      const rows = JSON.parse(`[${Buffer.from(body).toString()}]`) as Record<string, number>[];
      return { ids: rows.map((row) => Object.values(row)[0]), rowCount, more };
    };
    expect(await at(0)).toEqual({ ids: [0, 1, 2], rowCount: 3, more: true });
    expect(await at(199_999)).toEqual({
      ids: [199_999, 200_000, 200_001],
      rowCount: 3,
      more: true,
    });
    expect(await at(299_997)).toEqual({
      ids: [299_997, 299_998, 299_999],
      rowCount: 3,
      more: false,
    });
    expect(await at(400_000)).toEqual({ ids: [], rowCount: 0, more: false });
  });

  it.each([
    ['id = 3', [3]],
    ['id in (1, 2, 99)', [1, 2]],
    ['id not in (0,1,2,3,4,5,6,7)', [8, 9]],
    ["name = 'n''1' or id >= 9", [1, 9]],
    ['not (id > 0)', [0]],
    ["name contains '2' and id < 5", [2]],
    ["name startsWith 'n''8'", [8]],
    ["name endsWith '7'", [7]],
    ['maybe is null and id > 7', [9]],
    ['maybe is not null and id < 3', [0, 2]],
    ['even = true and id > 6', [8]],
    ["day = '2026-01-03'", [2]],
    ["day >= '2026-01-09'", [8, 9]],
    ['id = 2.5', []],
    ['id > 8.5', [9]],
    ['price = 0.30', [3]],
    ['price > 0.85', [9]],
    ['ratio >= 4.5', [9]],
    ['"odd ""name""" = 4', [4]],
    ['ID = 4', [4]],
  ])('that %s', async (where, expected) => {
    const source = await parquet(
      'filter.parquet',
      `SELECT i AS id, 'n''' || i AS name, CASE WHEN i % 2 = 0 THEN i END AS maybe, i % 2 = 0 AS even,
         DATE '2026-01-01' + i::INTEGER AS day, (i * 0.1)::DECIMAL(9,2) AS price, i / 2 AS ratio,
         i AS "odd ""name""" FROM range(10) t(i)`,
    );
    const rows = await json(source, { where: parseFilter(where), columns: ['id'] });
    expect(rows.map((row) => (row as { id: number }).id)).toEqual(expected);
  });

  it.each([
    ['nothing = 1', 'no column "nothing"'],
    ["id = 'x'", 'compare it with a number'],
    ['name = 1', "compare it with a 'text'"],
    ['even = 1', 'compare it with true or false'],
    ['list = 1', 'nothing but null'],
    ["day = 'not a day'", 'date'],
  ])('refuse %s', async (where, message) => {
    const source = await parquet(
      'refuse.parquet',
      `SELECT 1 AS id, 'x' AS name, true AS even, [1] AS list, DATE '2026-01-01' AS day`,
    );
    await expect(page(source, { where: parseFilter(where) })).rejects.toThrow(message);
  });
});

describe('rows as CSV', () => {
  it('hold no formula that a spreadsheet would run', async () => {
    const source = await parquet(
      'formula.parquet',
      `SELECT '=1+1' AS "=cmd", '+1' AS b, '-x' AS c, '@a' AS d, 'ok, "q"' AS e, -5 AS n, NULL AS nothing,
         'NaN'::DOUBLE AS nan, [1] AS l, 9007199254740993 AS big`,
    );
    const { body } = await page(source, { format: 'csv' });
    expect(Buffer.from(body).toString()).toBe(
      `"'=cmd","b","c","d","e","n","nothing","nan","l","big"\r\n` +
        `"'=1+1","'+1","'-x","'@a","ok, ""q""","-5",,"NaN","[1]","9007199254740993"\r\n`,
    );
  });
});

describe('rows as Arrow', () => {
  it('are read by an Arrow library as what they are', async () => {
    const source = await parquet(
      'arrow.parquet',
      `SELECT i::INTEGER AS id, CASE WHEN i % 2 = 0 THEN i::BIGINT * 225179981368524 END AS big, i * 0.5::DOUBLE AS ratio,
         'é' || i AS name, i % 3 = 0 AS third, DATE '2026-01-01' AS day, (i / 10)::DECIMAL(9,1) AS price,
         'ab'::BLOB AS bin, [i] AS list, TIMESTAMP '2026-01-01 00:00:01' AS ts FROM range(5000) t(i)`,
    );
    const some = await page(source, { format: 'arrow', limit: 4999 });
    expect(some).toMatchObject({ rowCount: 4999, more: true });
    const table = tableFromIPC(some.body);
    expect(table.numRows).toBe(4999);
    const row = table.get(4998)?.toJSON();
    expect(row).toMatchObject({
      id: 4998,
      big: 4998n * 225179981368524n,
      ratio: 2499,
      name: 'é4998',
      third: true,
      list: '[4998]',
    });
    expect(String(table.get(4998)?.toJSON()['price'])).toBe('4998');
    expect(table.get(4997)?.toJSON()['big']).toBeNull();
    expect(Number(table.get(1)?.toJSON()['ts'])).toBe(Date.UTC(2026, 0, 1, 0, 0, 1));
  });

  it('hold every value, whatever its length and width', async () => {
    const source = await parquet(
      'widths.parquet',
      `SELECT i, CASE WHEN i % 5 > 0 THEN repeat('ä', (i * 7 % 40)::INTEGER) || i END AS text,
         CASE WHEN i % 3 > 0 THEN encode(repeat('b', (i % 20)::INTEGER)) END AS bin,
         CASE WHEN i % 4 > 0 THEN i % 2 = 0 END AS flag,
         (-i / 10)::DECIMAL(4,1) AS d2, (-i / 10)::DECIMAL(9,1) AS d4,
         (-i * 10000000000)::DECIMAL(18,0) AS d8, (-i * 10000000000)::DECIMAL(30,0) AS d16
       FROM range(5000) t(i)`,
    );
    const { body } = await page(source, { format: 'arrow', limit: 5000 });
    const rows = tableFromIPC(body).toArray() as Record<string, unknown>[];
    expect(rows).toHaveLength(5000);
    rows.forEach((row, i) => {
      const { text, bin, flag, d2, d4, d8, d16 } = row;
      expect(text).toBe(i % 5 > 0 ? 'ä'.repeat((i * 7) % 40) + i : null);
      expect(bin && Buffer.from(bin as Uint8Array).toString()).toBe(
        i % 3 > 0 ? 'b'.repeat(i % 20) : null,
      );
      expect(flag).toBe(i % 4 > 0 ? i % 2 === 0 : null);
      const signed = (words: unknown) => {
        const [first = 0, second = 0, third = 0, fourth = 0] = words as Uint32Array;
        const low = (BigInt(second) << 32n) | BigInt(first);
        return BigInt.asIntN(128, (((BigInt(fourth) << 32n) | BigInt(third)) << 64n) | low);
      };
      expect([d2, d4, d8, d16].map(signed)).toEqual([
        -BigInt(i),
        -BigInt(i),
        -BigInt(i) * 10_000_000_000n,
        -BigInt(i) * 10_000_000_000n,
      ]);
    });
  });

  it('are a stream without rows where there are none', async () => {
    const source = await parquet('none.parquet', 'SELECT 1 AS a WHERE false');
    expect(tableFromIPC((await page(source, { format: 'arrow' })).body).numRows).toBe(0);
  });
});
