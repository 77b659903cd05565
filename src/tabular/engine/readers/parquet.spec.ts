import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { parquetReadObjects } from 'hyparquet';
import { readFile } from 'node:fs/promises';
import {
  parquetFile,
  type ColumnMade,
  type PageMade,
} from '../../../../test/builders/parquet-file.js';
import { TableFolder, expectProblem, publicData } from '../../../../test/builders/tables.js';
import { perform } from '../../worker/operations.js';
import type { TableDescription } from '../describe.js';
import type { TableSource } from '../source.js';
import { literal } from '../sql-text.js';

let folder: TableFolder;
beforeAll(async () => {
  folder = await TableFolder.make();
});
afterAll(() => folder.remove());

async function describeOf(source: TableSource, full = true): Promise<TableDescription> {
  const request = { source, full };
  const answer = await perform({ operation: 'describe', request, limits: folder.limits });
  return answer as TableDescription;
}

let made = 0;
const source = (content: Uint8Array) => folder.source(`p${(made += 1)}.parquet`, content);

const numbers = Array.from({ length: 1000 }, (_, n) => n + 5);
const column = (pages: PageMade[], more: Partial<ColumnMade> = {}): ColumnMade => ({
  name: 'a',
  pages,
  ...more,
});
const group = (...columns: ColumnMade[]) => [
  { rows: columns[0]?.pages.reduce((sum, page) => sum + page.values.length, 0) ?? 0, columns },
];

describe('a Parquet file made by hand', () => {
  it('is one that other readers take for one', async () => {
    const bytes = parquetFile(
      group(column([{ values: numbers, checksum: 'right' }], { bounds: [5, 1004] })),
    );
    const theirs = await parquetReadObjects({ file: new Uint8Array(bytes).buffer });
    expect(theirs.map((row): unknown => row['a'])).toEqual(numbers);
    expect(await describeOf(await source(bytes))).toMatchObject({ rowCount: 1000 });
  });
});

describe('checksums of pages', () => {
  it('are compared, and where every page has one the table is called checksummed', async () => {
    const summed = { values: numbers, checksum: 'right' } as const;
    const all = await describeOf(await source(parquetFile(group(column([summed, summed])))));
    expect(all.isChecksummed).toBe(true);
    const some = parquetFile(group(column([summed, { values: numbers }])));
    expect((await describeOf(await source(some))).isChecksummed).toBe(false);
    expect((await describeOf(await source(some), false)).isChecksummed).toBeNull();
  });

  it('that do not fit are a problem with a name', async () => {
    const pages: PageMade[] = [
      { values: numbers, checksum: 'right' },
      { values: numbers, checksum: 'wrong' },
    ];
    const damaged = await source(parquetFile(group(column(pages))));
    await expectProblem(describeOf(damaged), 'malformed');
    await expect(describeOf(damaged)).rejects.toThrow('checksum does not fit');
  });

  it('find a single bit', async () => {
    const bytes = parquetFile(group(column([{ values: numbers, checksum: 'right' }])));
    bytes[2000]! ^= 1;
    await expectProblem(describeOf(await source(bytes)), 'malformed');
  });
});

describe('a file that lies about its rows', () => {
  const BILLION = 1_000_000_000;
  const empty = (name: string) => ({ name, pages: [], claims: BILLION });

  it.each([
    ['in 143 bytes', parquetFile([{ rows: BILLION, columns: [empty('a'.repeat(33))] }])],
    ['in all', parquetFile(group(column([{ values: numbers }])), BILLION)],
    ['without any group of rows', parquetFile([], BILLION)],
    ['in a group', parquetFile([{ rows: BILLION, columns: [column([{ values: numbers }])] }])],
    ['in a column', parquetFile(group(column([{ values: numbers }], { claims: BILLION })))],
    ['in a page', parquetFile(group(column([{ values: numbers, claims: BILLION }])))],
    [
      'in a page and all that it is in',
      parquetFile([
        {
          rows: BILLION,
          columns: [column([{ values: [1], claims: BILLION }], { claims: BILLION })],
        },
      ]),
    ],
    [
      'by one of its columns',
      parquetFile(
        group(column([{ values: numbers }]), column([{ values: numbers.slice(1) }], { name: 'b' })),
      ),
    ],
  ])('%s has a problem with a name', async (where, bytes) => {
    if (where === 'in 143 bytes') expect(bytes).toHaveLength(143);
    const failed = describeOf(await source(bytes)).then(
      ({ rowCount }) => rowCount,
      (error: { code?: string }) => error.code,
    );
    expect(['malformed', 'truncated']).toContain(await failed);
  });

  it('is believed by no query either', async () => {
    const bytes = parquetFile([{ rows: BILLION, columns: [empty('a')] }]);
    const tables = [{ name: 't', source: await source(bytes) }];
    const request = { sql: 'SELECT count(*) FROM t', tables, format: 'json' as const };
    const output = `${folder.directory}/believed.json`;
    const work = perform({ operation: 'query', request, output, limits: folder.limits });
    await expect(work).rejects.toMatchObject({ code: 'malformed' });
  });

  it('tells the truth where a run of nulls is as long as that', async () => {
    // The length of the levels, one run of ten million, and the level of a null.
    const count = 10_000_000;
    const run = Buffer.from([5, 0, 0, 0, 0x80, 0xda, 0xc4, 0x09, 0]);
    const page = { values: [], claims: count, body: run };
    const nulls = column([page], { claims: count, nullable: true });
    const table = await describeOf(await source(parquetFile([{ rows: count, columns: [nulls] }])));
    expect(table).toMatchObject({ rowCount: count, columns: [{ nullable: true }] });
  });
});

describe('a hole in pages without compression', () => {
  const pages = [numbers, numbers, numbers].map((values) => ({ values }));

  it('where a header has to be is found at the first look', async () => {
    const bytes = parquetFile(group(column(pages)));
    bytes.fill(0, 4100, 8100);
    await expectProblem(describeOf(await source(bytes), false), 'malformed');
  });

  it('within a page is found by the bounds that the file gives its values', async () => {
    const bytes = parquetFile(group(column(pages, { bounds: [5, 1004] })));
    bytes.fill(0, 5000, 6000);
    const holed = await source(bytes);
    await expectProblem(describeOf(holed), 'malformed');
    await expect(describeOf(holed)).rejects.toThrow('statistics rule out');
  });

  it('within a page cannot be told from values without bounds, and the answer says so', async () => {
    const bytes = parquetFile(group(column(pages)));
    bytes.fill(0, 5000, 6000);
    expect(await describeOf(await source(bytes))).toMatchObject({
      rowCount: 3000,
      isChecksummed: false,
    });
  });

  it('is found in a file of a common writer', async () => {
    const at = `${folder.directory}/common.parquet`;
    await folder.session((session) =>
      session.run(
        `COPY (SELECT range + 1 AS a, (range + 1) / 2 AS f, DATE '2026-01-01' + (range % 9)::INTEGER AS d, 'x' || range AS s FROM range(300000))
         TO ${literal(at)} (FORMAT parquet, COMPRESSION uncompressed)`,
      ),
    );
    expect(await describeOf(folder.of(at))).toMatchObject({
      rowCount: 300_000,
      isChecksummed: false,
    });
    const whole = await readFile(at);
    for (const place of [10_000, 500_000, 1_500_000, 2_000_000]) {
      const holed = Buffer.from(whole);
      holed.fill(0, place, place + 65_536);
      await expectProblem(describeOf(await source(holed)), 'malformed');
    }
  });
});

it('files of many writers are sound', async () => {
  const flights = await describeOf(folder.of(publicData('flights-3m.parquet')));
  expect(flights.rowCount).toBe(3_000_000);
  const types = `range AS i, -range AS j, range::UTINYINT AS u, (range / 7)::FLOAT AS f, 'nan'::DOUBLE AS n,
    CASE WHEN range % 3 = 0 THEN range END AS o, [range, 1] AS l, {'x': range, 'y': [range]} AS s, MAP {range: 'a'} AS m,
    range::DECIMAL(18, 3) AS d, range % 2 = 0 AS b, TIMESTAMP '2026-01-01' + INTERVAL 1 HOUR * range AS t, 'ä' || range AS v,
    NULL::INTEGER AS e, repeat('z', 3000) AS w`;
  for (const codec of ['uncompressed', 'snappy', 'gzip', 'zstd', 'lz4', 'brotli']) {
    for (const version of ['V1', 'V2']) {
      const at = `${folder.directory}/${codec}-${version}.parquet`;
      await folder.session((session) =>
        session.run(
          `COPY (SELECT ${types} FROM range(200)) TO ${literal(at)}
           (FORMAT parquet, COMPRESSION ${codec}, PARQUET_VERSION ${version}, ROW_GROUP_SIZE 2048)`,
        ),
      );
      expect((await describeOf(folder.of(at))).rowCount).toBe(200);
    }
  }
});
