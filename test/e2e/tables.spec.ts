import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { tableFromIPC } from 'apache-arrow';
import { readFile } from 'node:fs/promises';
import { startApp, type TestApp } from '../app.js';
import { publicData } from '../builders/tables.js';
import { VersionsApi, codeOf, type Answer } from '../builders/versions-api.js';

interface Schema {
  format: string | null;
  columns: { name: string; type: string }[];
  options: Record<string, unknown>;
  problem: { code: string } | null;
}
interface Rows {
  columns: { name: string }[];
  items: Record<string, unknown>[];
  nextCursor: string | null;
}

let server: TestApp;
let api: VersionsApi;

beforeAll(async () => {
  server = await startApp();
  api = new VersionsApi(server, server.admin);
});
afterAll(() => server.close());

const at = (dataset: number, verb: string, query: Record<string, string>, ref = 'main') =>
  `/datasets/${dataset}/refs/${ref}/${verb}?${new URLSearchParams(query).toString()}`;

async function datasetWith(files: Record<string, string>): Promise<number> {
  const dataset = await api.aDataset();
  const { status } = await api.commitFiles(dataset, files);
  expect(status).toBe(201);
  return dataset;
}

const schemaOf = (dataset: number, path: string, more: Record<string, string> = {}) =>
  api.call<Schema>('GET', at(dataset, 'schema', { path, ...more }));
const rowsOf = (dataset: number, query: Record<string, string>, ref?: string) =>
  api.call<Rows>('GET', at(dataset, 'rows', query, ref));

describe('a file of a version', () => {
  it('has the schema of the table that it is', async () => {
    const stocks = await readFile(publicData('stocks.csv'), 'utf8');
    const dataset = await datasetWith({ 'a/stocks.csv': stocks });
    const { status, body } = await schemaOf(dataset, 'a/stocks.csv');
    expect(status).toBe(200);
    expect(body).toMatchObject({
      format: 'csv',
      problem: null,
      options: { delimiter: ',', header: true },
      guessed: ['delimiter', 'header', 'encoding'],
    });
    expect(body.columns.map(({ name, type }) => `${name}:${type}`)).toEqual([
      'symbol:string',
      'date:string',
      'price:float64',
    ]);
  });

  it('is no error where it is no table', async () => {
    const dataset = await datasetWith({ 'README.md': '# Read me' });
    const { status, body } = await schemaOf(dataset, 'README.md');
    expect([status, body.format, body.problem]).toEqual([200, null, null]);
    expect(codeOf(await rowsOf(dataset, { path: 'README.md' }))).toBe('422 not-a-table');
  });

  it('has its problem named where it is damaged', async () => {
    const dataset = await datasetWith({ 'bad.csv': 'a,b\n1,"x\n2,y\n' });
    expect((await schemaOf(dataset, 'bad.csv')).body.problem?.code).toBe('malformed');
    const answer = await rowsOf(dataset, { path: 'bad.csv' });
    expect(codeOf(answer)).toBe('422 table-unreadable');
    expect(answer.body).toMatchObject({ problem: 'malformed' });
    expect(JSON.stringify(answer.body)).not.toContain(server.config.DATA_DIR);
  });

  it('is read as its metadata say', async () => {
    const dataset = await api.aDataset();
    const fileId = await api.upload('1;2\n3;4\n');
    const put = (metadata: unknown) =>
      api.commit(dataset, [{ op: 'put', path: 'x.csv', fileId, metadata }]);
    await put({ table: { delimiter: ';', header: false } });
    expect((await rowsOf(dataset, { path: 'x.csv' })).body.items).toEqual([
      { column0: 1, column1: 2 },
      { column0: 3, column1: 4 },
    ]);
    for (const nonsense of [
      { delimiter: ';;', whatever: 1 },
      { delimiter: ';', quote: ';' },
      { quote: 'é' },
      { header: 'yes' },
      [],
    ]) {
      await put({ table: nonsense });
      expect(codeOf(await rowsOf(dataset, { path: 'x.csv' }))).toBe('400 invalid-input');
    }
    for (const format of ['parquet', 'xlsx', 'avro', 'arrow', 'json']) {
      await put({ table: { format } });
      expect(codeOf(await rowsOf(dataset, { path: 'x.csv' }))).toBe('422 table-unreadable');
    }
  });

  it('has no sheet to ask for, unless it is a workbook', async () => {
    const dataset = await datasetWith({ 'a.csv': 'a\n1\n', 'b.md': '# none' });
    for (const path of ['a.csv', 'b.md']) {
      const asked = { path, sheet: 'Sheet1' };
      expect(codeOf(await schemaOf(dataset, path, asked))).toBe('400 invalid-input');
      expect(codeOf(await rowsOf(dataset, asked))).toBe('400 invalid-input');
    }
    const query = { sql: 'SELECT * FROM "a.csv#Sheet1"' };
    const answer = await api.call('POST', `/datasets/${dataset}/refs/main/query`, {
      json: query,
    });
    expect(codeOf(answer)).toBe('400 invalid-input');
    expect(answer.body).toMatchObject({ errors: [{ at: 'sheet' }] });
  });

  it('is found only by those who may read the dataset, and where there is one', async () => {
    const dataset = await datasetWith({ 'a.csv': 'a\n1\n' });
    const stranger = new VersionsApi(server, await server.user('stranger to tables'));
    const answer = await stranger.call('GET', at(dataset, 'rows', { path: 'a.csv' }));
    expect(codeOf(answer)).toBe('404 not-found');
    expect(codeOf(await rowsOf(dataset, { path: 'b.csv' }))).toBe('404 not-found');
    expect(codeOf(await rowsOf(dataset, { path: 'a.csv' }, 'nowhere'))).toBe('404 not-found');
  });
});

describe('rows', () => {
  it('come in pages of the version that the first one showed', async () => {
    const lines = Array.from({ length: 25 }, (_, n) => `${n},${n % 2 === 0 ? 'even' : 'odd'}`);
    const dataset = await datasetWith({ 't.csv': `id,kind\n${lines.join('\n')}\n` });
    const query = { path: 't.csv', where: "kind = 'even'", orderBy: 'id:desc', limit: '5' };
    const first = await rowsOf(dataset, { ...query, columns: 'id' });
    expect(first.body.items).toEqual([24, 22, 20, 18, 16].map((id) => ({ id })));
    await api.commitFiles(dataset, { 't.csv': 'id,kind\n1,even\n' });
    const cursor = first.body.nextCursor ?? '';
    const second = await rowsOf(dataset, { ...query, columns: 'id', cursor });
    expect(second.body.items).toEqual([14, 12, 10, 8, 6].map((id) => ({ id })));
    const third = await rowsOf(dataset, {
      ...query,
      columns: 'id',
      cursor: second.body.nextCursor ?? '',
    });
    expect(third.body).toMatchObject({
      items: [{ id: 4 }, { id: 2 }, { id: 0 }],
      nextCursor: null,
    });
  });

  it('come as CSV and as Arrow, by Accept', async () => {
    const dataset = await datasetWith({ 't.csv': 'id,f\n1,=cmd()\n2,x\n' });
    const url = at(dataset, 'rows', { path: 't.csv', limit: '1' });
    const csv: Answer<string> = await api.call('GET', url, { headers: { Accept: 'text/csv' } });
    expect(csv.headers.get('content-type')).toContain('text/csv');
    expect(csv.body).toBe(`"id","f"\r\n"1","'=cmd()"\r\n`);
    expect(csv.headers.get('next-cursor')).toBeTruthy();
    const arrow = await fetch(`${server.url}/api/v1${url}`, {
      headers: {
        Authorization: `Bearer ${server.admin.token}`,
        Accept: 'application/vnd.apache.arrow.stream',
      },
    });
    expect(tableFromIPC(new Uint8Array(await arrow.arrayBuffer())).numRows).toBe(1);
    const none = await api.call('GET', url, { headers: { Accept: 'image/png' } });
    expect(codeOf(none)).toBe('406 not-acceptable');
  });

  it.each([
    [{ where: 'id ==' }, 'where'],
    [{ columns: 'id,,x' }, 'columns'],
    [{ columns: 'id,id' }, 'twice'],
    [{ columns: 'id,ID' }, 'twice'],
    [{ orderBy: ':desc' }, 'orderBy'],
    [{ where: 'nothing = 1' }, 'nothing'],
    [{ columns: 'nothing' }, 'nothing'],
    [{ where: "id = 1 union select '/etc/passwd'" }, 'where'],
    [{ cursor: 'x' }, 'cursor'],
  ])('refuse %j', async (query, named) => {
    const dataset = await datasetWith({ 't.csv': 'id\n1\n' });
    const answer = await rowsOf(dataset, { path: 't.csv', ...query });
    expect(codeOf(answer)).toBe('400 invalid-input');
    expect(JSON.stringify(answer.body)).toContain(named);
  });
});

describe('a profile', () => {
  it('is of all rows of a table', async () => {
    const dataset = await datasetWith({ 't.csv': 'id,kind\n1,a\n2,a\n3,b\n', 'x.md': '#' });
    const { status, body } = await api.call('GET', at(dataset, 'profile', { path: 't.csv' }));
    expect(status).toBe(200);
    expect(body).toMatchObject({
      rowCount: 3,
      columns: [
        { column: { name: 'id' }, mean: 2, minimum: 1, maximum: 3 },
        {
          frequent: [
            { value: 'a', count: 2 },
            { value: 'b', count: 1 },
          ],
        },
      ],
    });
    const none = await api.call('GET', at(dataset, 'profile', { path: 'x.md' }));
    expect(codeOf(none)).toBe('422 not-a-table');
  });
});

describe('a query', () => {
  const run = (dataset: number, sql: string, format?: string) =>
    api.call('POST', `/datasets/${dataset}/refs/main/query`, {
      json: { sql, ...(format && { format }) },
    });

  it('joins tables of a version', async () => {
    const dataset = await datasetWith({ 'a/t.csv': 'id,v\n1,x\n2,y\n', 'u.csv': 'id,w\n2,z\n' });
    const sql = 'SELECT v, w FROM "a/t.csv" JOIN "u.csv" USING (id)';
    const json = await run(dataset, sql);
    expect([json.status, json.body]).toEqual([200, [{ v: 'y', w: 'z' }]]);
    expect(json.headers.get('content-type')).toContain('application/json');
    const csv = await run(dataset, sql, 'csv');
    expect([csv.headers.get('content-type'), csv.body]).toEqual(['text/csv', 'v,w\ny,z\n']);
    expect((await run(dataset, 'SELECT 1 AS a WHERE false', 'csv')).body).toBe('a\n');
  });

  it.each([
    'DROP TABLE x',
    `SELECT * FROM read_text('/etc/passwd')`,
    'SELECT * FROM "not/there.csv"',
    'SELECT x FROM "t.csv"',
    'SELEC 1',
    'SELECT 1e400',
    'SELECT pg_sleep(1)',
  ])('%s is refused', async (sql) => {
    const dataset = await datasetWith({ 't.csv': 'id\n1\n' });
    expect(codeOf(await run(dataset, sql))).toBe('400 invalid-input');
  });

  it('over a damaged table says so', async () => {
    const dataset = await datasetWith({ 't.csv': 'a,b\n1,"x\n2,y\n' });
    const answer = await run(dataset, 'SELECT * FROM "t.csv"');
    expect(codeOf(answer)).toBe('422 table-unreadable');
  });

  it('is right though its types show late, before all of the table was read', async () => {
    const rows = Array.from({ length: 60_000 }, (_, n) => `${n},1`).join('\n');
    const dataset = await datasetWith({ 'late.csv': `a,b\n${rows}\nx,1\n` });
    const answer = await run(dataset, 'SELECT max(a) AS m, count(*) AS n FROM "late.csv"');
    expect([answer.status, answer.body]).toEqual([200, [{ m: 'x', n: 60_001 }]]);
  });

  it('that fails half-way never ends well', async () => {
    const dataset = await datasetWith({ 't.csv': 'id\n1\n' });
    const sql = `SELECT CASE WHEN range = 9000000 THEN error('late') ELSE repeat('x', 20) END AS x FROM range(10000000)`;
    await expect(run(dataset, sql, 'ndjson')).rejects.toThrow();
  });

  it('ends with the caller, and leaves its worker to others', async () => {
    const dataset = await datasetWith({ 't.csv': 'id\n1\n' });
    for (let leaving = 0; leaving < 3; leaving += 1) {
      const response = await fetch(`${server.url}/api/v1/datasets/${dataset}/refs/main/query`, {
        method: 'POST',
        headers: {
          Authorization: `Bearer ${server.admin.token}`,
          'Content-Type': 'application/json',
        },
        body: JSON.stringify({ sql: 'SELECT * FROM range(100000000000)', format: 'ndjson' }),
      });
      await response.body?.cancel();
    }
    expect((await run(dataset, 'SELECT count(*) AS n FROM "t.csv"')).body).toEqual([{ n: 1 }]);
  });
});

describe('a hostile file', () => {
  const deep = `[{"a":1}${',{"a":1}'.repeat(100_000)},${'['.repeat(100_000)}${']'.repeat(100_000)}]`;

  it('that ends its reader has a problem with a name, and others are answered', async () => {
    const dataset = await datasetWith({ 'deep.json': deep, 'good.csv': 'a\n1\n' });
    const [hostile, good] = await Promise.all([
      rowsOf(dataset, { path: 'deep.json', orderBy: 'a' }),
      rowsOf(dataset, { path: 'good.csv' }),
    ]);
    expect(codeOf(hostile)).toBe('422 table-unreadable');
    expect(good.body.items).toEqual([{ a: 1 }]);
    expect((await rowsOf(dataset, { path: 'good.csv' })).status).toBe(200);
  });
});
