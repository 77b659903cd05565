import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { readdir } from 'node:fs/promises';
import { TableFolder } from '../../../test/builders/tables.js';
import { perform } from '../worker/operations.js';
import type { ComparePage, CompareRequest } from './compare-rows.js';
import type { TableSource } from './source.js';
import { literal } from './sql-text.js';

interface Difference {
  change: 'added' | 'removed' | 'changed';
  key: Record<string, unknown>;
  row: Record<string, unknown> | null;
  cells: { column: string; before: unknown; after: unknown }[] | null;
}

let folder: TableFolder;
beforeAll(async () => {
  folder = await TableFolder.make();
});
afterAll(() => folder.remove());

let made = 0;
async function parquet(select: string): Promise<TableSource> {
  const at = `${folder.directory}/t${(made += 1)}.parquet`;
  await folder.session((session) =>
    session.run(`COPY (${select}) TO ${literal(at)} (FORMAT parquet)`),
  );
  return folder.of(at);
}

async function pageOf(
  [base, head]: [TableSource, TableSource],
  page: Partial<CompareRequest>,
): Promise<ComparePage & { items: Difference[] }> {
  const request = { base, head, page: { key: ['id'], offset: 0, limit: 1000, ...page } };
  const answer = await perform({ operation: 'compare', request, limits: folder.limits });
  const found = answer as ComparePage;
  const items = JSON.parse(`[${Buffer.from(found.body).toString()}]`) as Difference[];
  return { ...found, items };
}

const inWords = ({ change, key, row, cells }: Difference): unknown[] => [
  change,
  key['id'],
  row ?? cells?.map(({ column, before, after }) => [column, before, after]),
];

describe('the differences of two tables', () => {
  it('are rows that came and went, and cells that changed', async () => {
    const base = await parquet(
      `SELECT * FROM (VALUES (1, 'a', 1.5), (2, 'b', NULL), (3, 'c', 2), (4, 'd', 4)) t(id, name, v)`,
    );
    const head = await parquet(
      `SELECT * FROM (VALUES (5, 'e', 5), (1, 'a', 1.5), (2, 'x', 7), (4, 'd', NULL)) t(id, name, v)`,
    );
    const { items, ...page } = await pageOf([base, head], {});
    expect(page).toMatchObject({ counts: { added: 1, removed: 1, changed: 2 }, more: false });
    expect(items.map(inWords)).toEqual([
      [
        'changed',
        2,
        [
          ['name', 'b', 'x'],
          ['v', null, 7],
        ],
      ],
      ['removed', 3, { id: 3, name: 'c', v: 2 }],
      ['changed', 4, [['v', 4, null]]],
      ['added', 5, { id: 5, name: 'e', v: 5 }],
    ]);
  });

  it('come in pages that neither repeat nor lose one, and are found once', async () => {
    const base = await parquet('SELECT range AS id, range % 7 AS v FROM range(5000)');
    const head = await parquet('SELECT range AS id, range % 5 AS v FROM range(2500, 7500)');
    const seen: unknown[] = [];
    for (let more = true; more;) {
      const page = await pageOf([base, head], { offset: seen.length, limit: 999 });
      seen.push(...page.items.map(({ key }) => key['id']));
      more = page.more;
    }
    const expected = Array.from({ length: 7500 }, (_, id) => id).filter(
      (id) => id < 2500 || id >= 5000 || id % 7 !== id % 5,
    );
    expect(seen).toEqual(expected);
    const kept = (await readdir(folder.directory)).filter((name) => name.includes('.rows-'));
    const ofThese = kept.filter((name) => name.startsWith(`prepared-t${made}.parquet-`));
    expect(ofThese).toHaveLength(1);
  });

  it('take a null for a key like any other', async () => {
    const base = await parquet(`SELECT * FROM (VALUES (NULL, 1), (1, 1)) t(id, v)`);
    const head = await parquet(`SELECT * FROM (VALUES (NULL, 2), (2, 2)) t(id, v)`);
    expect((await pageOf([base, head], {})).items.map(inWords)).toEqual([
      ['removed', 1, { id: 1, v: 1 }],
      ['added', 2, { id: 2, v: 2 }],
      ['changed', null, [['v', 1, 2]]],
    ]);
  });

  it('need keys that tell rows apart, and say which do not', async () => {
    const once = await parquet(`SELECT 7 AS id, 1 AS v`);
    const twice = await parquet(`SELECT unnest([7, 7, NULL, NULL]) AS id, 1 AS v`);
    const refused = expect(pageOf([once, twice], {})).rejects;
    await refused.toMatchObject({ name: 'NotComparable' });
    await expect(pageOf([once, twice], {})).rejects.toThrow(
      /^2 keys stand in more than one row of the head, such as \((7|null)\), \((7|null)\); name columns/,
    );
    await expect(pageOf([twice, once], {})).rejects.toThrow('of the base');
  });

  it('compare columns whose types changed by what they mean', async () => {
    const base = await parquet(
      `SELECT 1::INTEGER AS id, 5::BIGINT AS whole, 9007199254740993::BIGINT AS big, 1.50::DECIMAL(9,2) AS price,
         DATE '2026-01-02' AS day, '7' AS text, 0.1::FLOAT AS ratio, 1e20::DOUBLE AS far`,
    );
    const head = await parquet(
      `SELECT 1.0::DOUBLE AS id, 5.0::DOUBLE AS whole, 9007199254740992::DOUBLE AS big, 1.5::DECIMAL(12,4) AS price,
         TIMESTAMP '2026-01-02 00:00:00' AS day, 7 AS text, 0.1::FLOAT::DOUBLE AS ratio, 100000000000000000000::HUGEINT AS far`,
    );
    const { items } = await pageOf([base, head], {});
    expect(items.map(inWords)).toEqual([
      ['changed', 1, [['big', '9007199254740993', 9007199254740992]]],
    ]);
  });

  it('leave out columns that only one table has, and name them', async () => {
    const base = await parquet(`SELECT 1 AS id, 'x' AS gone, 3 AS v`);
    const head = await parquet(`SELECT 1 AS id, 'y' AS came, 3 AS v UNION ALL SELECT 2, 'z', 4`);
    const page = await pageOf([base, head], {});
    expect(page.items.map(inWords)).toEqual([['added', 2, { id: 2, came: 'z', v: 4 }]]);
    expect(page).toMatchObject({
      addedColumns: [{ name: 'came' }],
      removedColumns: [{ name: 'gone' }],
    });
  });

  it('are right for columns called as anything at all', async () => {
    const names = `1 AS "id", 2 AS "here", 3 AS "k0", 4 AS "varve row", 5 AS "change", 6 AS "a'b""c", 7 AS "__proto__"`;
    const base = await parquet(`SELECT ${names}`);
    const head = await parquet(`SELECT ${names.replace('6 AS', '8 AS')}`);
    const { items } = await pageOf([base, head], { key: ['id', 'here', 'change'] });
    expect(items).toEqual([
      {
        change: 'changed',
        key: { id: 1, here: 2, change: 5 },
        row: null,
        cells: [{ column: `a'b"c`, before: 6, after: 8 }],
      },
    ]);
  });

  it('are found in CSV whose types only a later row shows', async () => {
    const rows = Array.from({ length: 30_000 }, (_, id) => `${id},1`);
    const base = await folder.source('late-a.csv', `id,v\n${rows.join('\n')}\n`);
    const head = await folder.source('late-b.csv', `id,v\n${rows.join('\n')}\n30000,x\n`);
    const { items } = await pageOf([base, head], {});
    expect(items.map(inWords)).toEqual([['added', 30_000, { id: 30_000, v: 'x' }]]);
  });

  it.each([
    [['nothing'], 'no column "nothing" in the head'],
    [['id', 'ID'], 'names a column twice'],
    [[], 'one to 10 columns'],
    [Array.from({ length: 11 }, (_, n) => `c${n}`), 'one to 10 columns'],
  ])('cannot be told by the key %j', async (key, why) => {
    const table = await parquet('SELECT 1 AS id');
    await expect(pageOf([table, table], { key })).rejects.toThrow(why);
  });

  it('of very wide tables are refused with what to do', async () => {
    const columns = (count: number) =>
      Array.from({ length: count }, (_, n) => `${n} AS c${n}`).join(', ');
    const wide = await parquet(`SELECT range AS id, ${columns(1000)} FROM range(3000)`);
    const other = await parquet(`SELECT range AS id, ${columns(999)}, 0 AS c999 FROM range(3000)`);
    const { items, counts, more } = await pageOf([wide, other], {});
    expect(items.slice(0, 1).map(inWords)).toEqual([['changed', 0, [['c999', 999, 0]]]]);
    // Of so wide a table a page has fewer rows than were asked for.
    expect([counts.changed, items.length, more]).toEqual([3000, 99, true]);
    const wider = await parquet(`SELECT 1 AS id, ${columns(1001)}`);
    await expect(pageOf([wider, wider], {})).rejects.toThrow('compare some of them with a SELECT');
  });

  it('are those that a comparison in memory finds', async () => {
    const value = fc.option(fc.integer({ min: 0, max: 2 }));
    const table = fc.uniqueArray(
      fc.tuple(fc.option(fc.integer({ min: 0, max: 9 })), value, value),
      {
        selector: ([id]) => id,
        maxLength: 10,
      },
    );
    const valuesOf = (rows: (number | null)[][]) =>
      parquet(
        `SELECT * FROM (VALUES (NULL::INTEGER, NULL::INTEGER, NULL::INTEGER)${rows.map((row) => `, (${row.map((cell) => cell ?? 'NULL').join(', ')})`).join('')}) t(id, v, w) OFFSET 1`,
      );
    await fc.assert(
      fc.asyncProperty(table, table, async (was, is) => {
        const { items, counts } = await pageOf([await valuesOf(was), await valuesOf(is)], {});
        const ids = [...new Set([...was, ...is].map(([id]) => id))];
        const expected = ids
          .toSorted((a, b) => (a ?? 99) - (b ?? 99))
          .flatMap((id) => {
            const [old, now] = [was, is].map((rows) => rows.find((row) => row[0] === id));
            if (!old) return [['added', id]];
            if (!now) return [['removed', id]];
            return old[1] === now[1] && old[2] === now[2] ? [] : [['changed', id]];
          });
        expect(items.map(({ change, key }) => [change, key['id']])).toEqual(expected);
        expect(counts.added + counts.removed + counts.changed).toBe(expected.length);
      }),
      { numRuns: 25 },
    );
  });
});
