import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { tableFromIPC } from 'apache-arrow';
import { readFile, writeFile } from 'node:fs/promises';
import { TableFolder, expectProblem } from '../../../test/builders/tables.js';
import { perform } from '../worker/operations.js';
import type { OutputFormat } from './output.js';
import type { QueryAnswer } from './query.js';

let folder: TableFolder;
beforeAll(async () => {
  folder = await TableFolder.make();
});
afterAll(() => folder.remove());

async function query(sql: string, format: OutputFormat = 'json'): Promise<Buffer> {
  const source = await folder.source('t.csv', 'id,name,f\n1,a,=x\n2,b,y\n9007199254740993,c,\n');
  const other = await folder.source('other.csv', 'id,v\n1,10\n2,20\n');
  const names = (await perform({
    operation: 'tables',
    request: { sql },
    limits: folder.limits,
  })) as string[];
  const known = [
    { name: 'data/t.csv', source },
    { name: 'other.csv', source: other },
  ];
  const output = `${folder.directory}/result`;
  const answer = (await perform({
    operation: 'query',
    request: { sql, format, tables: known.filter(({ name }) => names.includes(name)) },
    limits: folder.limits,
    output,
  })) as QueryAnswer;
  expect(answer.columns.length).toBeGreaterThan(0);
  return readFile(output);
}

const rows = async (sql: string) => JSON.parse((await query(sql)).toString()) as unknown[];

describe('a SELECT', () => {
  it.each<[string, unknown[]]>([
    ['SELECT count(*) AS n FROM "data/t.csv"', [{ n: 3 }]],
    ['FROM "other.csv" SELECT sum(v) AS s;', [{ s: 30 }]],
    ['SELECT max(id) AS m FROM "data/t.csv" -- the largest', [{ m: '9007199254740993' }]],
    [
      'SELECT name, v FROM "data/t.csv" JOIN "other.csv" USING (id) ORDER BY v DESC',
      [
        { name: 'b', v: 20 },
        { name: 'a', v: 10 },
      ],
    ],
    ['WITH x AS (SELECT 1 AS a) SELECT * FROM x', [{ a: 1 }]],
    ['SELECT x.a FROM (VALUES (1), (2)) x(a) WHERE a > 1', [{ a: 2 }]],
    ['SELECT range AS r FROM range(2)', [{ r: 0 }, { r: 1 }]],
    ['SELECT 1 AS a WHERE false', []],
    ['SELECT 1 AS a UNION ALL SELECT 2', [{ a: 1 }, { a: 2 }]],
  ])('%s', async (sql, expected) => {
    expect(await rows(sql)).toEqual(expected);
  });

  it('is written in each format', async () => {
    const sql = 'SELECT id, f FROM "data/t.csv" ORDER BY id LIMIT 2';
    expect((await query(sql, 'ndjson')).toString()).toBe('{"id":1,"f":"=x"}\n{"id":2,"f":"y"}\n');
    expect((await query(sql, 'csv')).toString()).toBe("id,f\n1,'=x\n2,y\n");
    expect((await query(sql, 'parquet')).subarray(0, 4).toString()).toBe('PAR1');
    expect(tableFromIPC(await query(sql, 'arrow')).numRows).toBe(2);
  });

  it.each(['json', 'ndjson', 'csv', 'parquet', 'arrow'] as const)(
    'that fails at its 600,000th row fails as %s as well, and is not merely shorter',
    async (format) => {
      const sql = `SELECT i, CAST(CASE WHEN i = 600000 THEN 'no number' ELSE '1' END AS INTEGER) AS n
        FROM range(700000) t(i)`;
      await expect(query(sql, format)).rejects.toThrow("Could not convert string 'no number'");
    },
  );

  it.each(['ndjson', 'arrow'] as const)(
    'over damaged pages is the table’s problem, as %s',
    async (format) => {
      const source = folder.of(`${folder.directory}/damaged-${format}.parquet`);
      await folder.session((session) =>
        session.run(
          `COPY (SELECT i // 3 AS n FROM range(500000) t(i)) TO '${source.path}' (FORMAT parquet, COMPRESSION snappy)`,
        ),
      );
      const bytes = await readFile(source.path);
      bytes.fill(0xff, bytes.length / 2, bytes.length / 2 + 2000);
      await writeFile(source.path, bytes);
      const answer = perform({
        operation: 'query',
        request: { sql: 'SELECT * FROM t', format, tables: [{ name: 't', source }] },
        limits: folder.limits,
        output: `${folder.directory}/result`,
      });
      await expectProblem(answer, 'malformed');
    },
  );

  it('keeps its order as Arrow, and has every row once', async () => {
    const sql = `SELECT i FROM (SELECT i, hash(i) AS h FROM range(300000) t(i)) ORDER BY i DESC`;
    const column = tableFromIPC(await query(sql, 'arrow')).getChild('i');
    expect(column?.length).toBe(300_000);
    expect(
      [...(column?.toArray() as BigInt64Array)].every((i, at) => Number(i) === 299_999 - at),
    ).toBe(true);
  });

  it('comes as Arrow in batches, smaller ones where its columns are many', async () => {
    const batches = async (columns: number) => {
      const values = Array.from({ length: columns }, (_, at) => `i * ${at} AS c${at}`).join(', ');
      const sql = `SELECT ${values}, CASE WHEN i >= 9000 THEN i END AS late FROM range(10000) t(i)`;
      const table = tableFromIPC(await query(sql, 'arrow'));
      const last = table.getChild(`c${columns - 1}`)?.toArray() as BigInt64Array;
      expect([...last].map(Number)).toEqual(
        Array.from({ length: 10_000 }, (_, row) => row * (columns - 1)),
      );
      const late = table.getChild('late');
      expect([8999, 9000, 9999].map((row) => late?.get(row) as bigint | null)).toEqual([
        null,
        9000n,
        9999n,
      ]);
      return table.batches.map(({ numRows }) => numRows);
    };
    expect(await batches(2)).toEqual([10_000]);
    expect(await batches(400)).toEqual([2048, 2048, 2048, 2048, 1808]);
  });
});

describe('what is more than a SELECT over the tables', () => {
  it.each([
    `COPY (SELECT 1) TO '/tmp/varve-escape'`,
    `COPY (SELECT 1) TO '/tmp/varve-escape' (USE_TMP_FILE false)`,
    `SELECT 1; SELECT 2`,
    `SELECT 1) TO '/tmp/varve-escape' (FORMAT csv); COPY (SELECT 2`,
    `SELECT 1 AS a) ; DROP VIEW "data/t.csv"; SELECT * FROM (SELECT 1`,
    `CREATE TABLE x AS SELECT 1`,
    `INSERT INTO x VALUES (1)`,
    `ATTACH '/tmp/varve-escape.db'`,
    `INSTALL httpfs`,
    `LOAD httpfs`,
    `PRAGMA database_list`,
    `CALL enable_logging(storage = 'file')`,
    `SELECT * FROM enable_logging(storage = 'file')`,
    `SET enable_external_access = true`,
    `RESET lock_configuration`,
    `EXPORT DATABASE '/tmp/varve-escape'`,
    `SHOW TABLES`,
    `DESCRIBE "data/t.csv"`,
    `SELECT * FROM (SHOW ALL TABLES)`,
    `SELECT * FROM (DESCRIBE "data/t.csv")`,
    `SELECT * FROM read_csv('/etc/passwd')`,
    `SELECT * FROM read_text('/etc/passwd')`,
    `SELECT * FROM read_blob('/etc/passwd')`,
    `SELECT * FROM read_json('/proc/self/environ')`,
    `SELECT * FROM read_parquet('https://example.com/x.parquet')`,
    `SELECT * FROM parquet_metadata('/etc/passwd')`,
    `SELECT * FROM sniff_csv('/etc/passwd')`,
    `SELECT * FROM glob('/etc/*')`,
    `SELECT (SELECT count(*) FROM glob('/etc/*'))`,
    `SELECT 1 WHERE EXISTS (SELECT * FROM read_text('/etc/passwd'))`,
    `WITH x AS (SELECT * FROM read_text('/etc/passwd')) SELECT * FROM x`,
    `SELECT * FROM (VALUES (1)) t(a), LATERAL (SELECT * FROM read_text('/etc/passwd'))`,
    `SELECT * FROM '/etc/passwd'`,
    `SELECT * FROM "/etc/passwd"`,
    `SELECT * FROM query('SELECT * FROM read_text(''/etc/passwd'')')`,
    `SELECT * FROM query_table('data/t.csv')`,
    `SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT 1'))`,
    `SELECT * FROM duckdb_settings()`,
    `SELECT * FROM duckdb_views()`,
    `SELECT * FROM duckdb_secrets()`,
    `SELECT * FROM duckdb_settings`,
    `SELECT * FROM information_schema.tables`,
    `SELECT * FROM pg_catalog.pg_tables`,
    `SELECT * FROM sqlite_master`,
    `SELECT * FROM temp.main."data/t.csv"`,
    `SELECT current_setting('temp_directory')`,
    `SELECT Current_Setting('temp_directory') AS x`,
    `SELECT getvariable('x')`,
    `SELECT write_log('x')`,
    `SELECT * FROM pragma_table_info('data/t.csv')`,
    `SELECT * FROM checkpoint()`,
    `SELECT * FROM test_all_types()`,
    ``,
    `nonsense`,
    `SELECT nothing FROM "data/t.csv"`,
    `SELECT * FROM "data/unknown.csv"`,
    `SELECT 1/`,
    `SELECT error('stop')`,
    `SELECT CAST('x' AS INTEGER) AS a`,
    `EXPLAIN SELECT 1`,
    `PREPARE x AS SELECT 1`,
    `EXECUTE x`,
    `VACUUM`,
  ])('is refused: %s', async (sql) => {
    const failed = await query(sql).catch((error: unknown) => error);
    expect(failed).toMatchObject({ name: 'InvalidRequest' });
    expect(String((failed as Error).message)).not.toContain(folder.directory);
  });

  it('finds the doors shut even past the check', async () => {
    const source = await folder.source('kept.csv', 'a\n1\n');
    await folder.session(async (session) => {
      await session.seal([source.path]);
      const tries = [
        `SELECT * FROM read_text('/etc/passwd')`,
        `COPY (SELECT 1) TO '/tmp/varve-escape'`,
        `SET enable_external_access = true`,
        `SET allowed_paths = ['/']`,
        `ATTACH '/tmp/varve-escape.db'`,
        `INSTALL httpfs`,
      ];
      for (const sql of tries) await expect(session.run(sql)).rejects.toThrow();
    });
    expect(await readFile(source.path, 'utf8')).toBe('a\n1\n');
  });

  it('is refused however deep it nests', async () => {
    const deep = `SELECT ${'('.repeat(5_000)}1${')'.repeat(5_000)} AS a`;
    const failed = await query(deep).then(
      () => 'done',
      (error: { name: string }) => error.name,
    );
    expect(['done', 'InvalidRequest', 'TableProblem']).toContain(failed);
  });
});
