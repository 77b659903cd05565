import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { DataSource } from 'typeorm';
import { gzipSync } from 'node:zlib';
import { Metrics } from '../../src/platform/metrics/metrics.js';
import { startApp, type TestApp } from '../app.js';
import { capturedAll } from '../builders/captures.js';
import { parquetFile } from '../builders/parquet-file.js';
import { VersionsApi, codeOf, type Answer } from '../builders/versions-api.js';
import { workbookOf, zipOf } from '../builders/zip-file.js';

/** How long the one line is: `HOSTILE_LINE_BYTES=1073741824` makes it a gigabyte. */
const LINE_BYTES = Number(process.env['HOSTILE_LINE_BYTES'] ?? 256 * 1024 * 1024);
const ATTEMPTS = 'varve_job_attempts_total';
const PIECE_BYTES = 1024 * 1024;

interface Schema {
  columns: { name: string }[];
  rowCount: number | null;
  problem: { code: string } | null;
}
type Content = string | Buffer | (() => ReadableStream<Uint8Array>);

let server: TestApp;
let api: VersionsApi;
let database: DataSource;
let good: number;

beforeAll(async () => {
  server = await startApp();
  api = new VersionsApi(server, server.admin);
  database = await new DataSource({ type: 'postgres', url: server.databaseUrl }).initialize();
  good = await datasetWith('good.csv', 'a\n1\n');
});
afterAll(async () => {
  await database.destroy();
  await server.close();
});

async function datasetWith(path: string, content: Content): Promise<number> {
  const dataset = await api.aDataset();
  const body = typeof content === 'function' ? content() : new Uint8Array(Buffer.from(content));
  const uploaded = await api.call<{ id: number }>('POST', `/files?name=${path}`, {
    headers: { 'Content-Type': 'application/octet-stream' },
    body,
  });
  const { status } = await api.commit(dataset, [{ op: 'put', path, fileId: uploaded.body.id }]);
  expect(status).toBe(201);
  return dataset;
}

const at = (dataset: number, verb: string, path: string) =>
  `/datasets/${dataset}/refs/main/${verb}?path=${path}`;

/** How attempts at reading all of what was committed have ended, once none is to come. */
async function captures(): Promise<string[]> {
  await capturedAll(database);
  const metrics = await server.app.get(Metrics).registry.getSingleMetricAsString(ATTEMPTS);
  const ends = [...metrics.matchAll(/kind="tables\.capture-schemas",outcome="(\w+)"/g)];
  return ends.map(([, outcome]) => outcome!);
}

/** Every way to ask for the table, at once, while somebody else asks for another one. */
async function askAll(dataset: number, path: string): Promise<Answer<unknown>[]> {
  const count = { json: { sql: `SELECT count(*) AS n FROM "${path}"` } };
  const [others, ...answers] = await Promise.all([
    api.call('GET', at(good, 'rows', 'good.csv')),
    api.call('GET', at(dataset, 'schema', path)),
    api.call('GET', at(dataset, 'rows', path)),
    api.call('GET', at(dataset, 'profile', path)),
    api.call('POST', `/datasets/${dataset}/refs/main/query`, count),
  ]);
  expect(others.body).toMatchObject({ items: [{ a: 1 }] });
  return answers;
}

const part = (name: string, content: string) => ({ name, content });
const ENTITIES = Array.from(
  { length: 10 },
  (_, n) => `<!ENTITY l${n + 1} "${`&l${n};`.repeat(10)}">`,
).join('');
const laughs = `<!DOCTYPE x [<!ENTITY l0 "ha">${ENTITIES}]>`;
const numbers = Array.from({ length: 3000 }, (_, n) => n + 1);

/** A line without an end, made while it is sent. */
function aLine(beginning: string): () => ReadableStream<Uint8Array> {
  return () => {
    let left = LINE_BYTES;
    const piece = new Uint8Array(PIECE_BYTES).fill(0x78);
    return new ReadableStream({
      start: (controller) => controller.enqueue(Buffer.from(beginning)),
      pull(controller) {
        if (left <= 0) return controller.close();
        left -= PIECE_BYTES;
        controller.enqueue(piece.slice());
      },
    });
  };
}

describe('a hostile file is a problem with a name:', () => {
  const deep = `[{"a":1}${',{"a":1}'.repeat(100_000)},${'['.repeat(100_000)}${']'.repeat(100_000)}]`;
  const holed = parquetFile([
    { rows: 3000, columns: [{ name: 'a', pages: [{ values: numbers }], bounds: [1, 3000] }] },
  ]);
  holed.fill(0, 4000, 8000);
  const claims = [{ name: 'a'.repeat(33), pages: [], claims: 1e9 }];

  it.each<[string, Content, string[]]>([
    ['deep.json', deep, ['malformed', 'too-large']],
    ['deep-first.json', `${'['.repeat(100_000)}${']'.repeat(100_000)}`, ['malformed']],
    ['claims.parquet', parquetFile([{ rows: 1e9, columns: claims }]), ['malformed']],
    ['cut.csv.gz', gzipSync(`a,b\n${'1,2\n'.repeat(50_000)}`).subarray(0, -20), ['truncated']],
    ['bomb.xlsx', workbookOf(' '.repeat(50_000_000)), ['too-large']],
    [
      'laughs.xlsx',
      workbookOf('<row r="1"><c r="A1"><v>&l10;</v></c></row>', laughs),
      ['malformed'],
    ],
    [
      'strings.xlsx',
      zipOf([
        part('xl/sharedStrings.xml', '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'),
      ]),
      ['malformed'],
    ],
    [
      'outside.xlsx',
      workbookOf(
        '<row r="1"><c r="A1"><v>&a;</v></c></row>',
        '<!DOCTYPE x SYSTEM "http://127.0.0.1:9/x.dtd">',
      ),
      ['malformed'],
    ],
    [
      'corner.xlsx',
      workbookOf(
        '<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>2</v></c></row>',
      ),
      ['too-large'],
    ],
    ['wide.csv', `${'x,'.repeat(99_999)}y\n${'1,'.repeat(99_999)}2\n`, ['too-large']],
    ['line.csv', aLine('a,b\n1,'), ['too-large']],
    ['line.ndjson', aLine('{"a":"'), ['too-large', 'malformed']],
    ['ragged.csv', `a,b\n${'1,2\n'.repeat(50_000)}1,2,3\n1,2\n`, ['malformed']],
    ['unclosed.csv', `id,name\n${'1,x\n'.repeat(50_000)}2,"y\n3,z\n4,w\n`, ['malformed']],
  ])(
    '%s',
    async (path, content, codes) => {
      const dataset = await datasetWith(path, content);
      const early = await askAll(dataset, path);
      expect(early.map(({ status }) => status).filter((status) => status >= 500)).toEqual([]);
      expect(codeOf(early[3]!)).toBe('422 table-unreadable');
      // Read once, and known from then on: no worker is spent on it again.
      expect(await captures()).toEqual(['completed']);
      const [schema, ...others] = await askAll(dataset, path);
      const { problem, rowCount } = schema!.body as Schema;
      expect({ status: schema!.status, rowCount }).toEqual({ status: 200, rowCount: null });
      expect(codes).toContain(problem?.code);
      expect(others.map(codeOf)).toEqual(Array.from(others, () => '422 table-unreadable'));
    },
    240_000,
  );

  it('a hole in Parquet, once all of it was read', async () => {
    const dataset = await datasetWith('hole.parquet', holed);
    expect(await captures()).toEqual(['completed']);
    const answers = await askAll(dataset, 'hole.parquet');
    expect((answers[0]!.body as Schema).problem).toMatchObject({ code: 'malformed' });
    expect(answers.slice(1).map(codeOf)).toEqual(Array(3).fill('422 table-unreadable'));
  });
});

describe('an odd file is the table that it is:', () => {
  it.each<[string, Content, number, string[] | null]>([
    ['nul.csv', 'a,b\n1,x\0y\n2,z\n', 2, ['a', 'b']],
    ['names.csv', 'a,a,,,A\n1,2,3,4,5\n', 1, null],
    ['proto.csv', '__proto__,constructor\n1,2\n3,4\n', 2, ['__proto__', 'constructor']],
    ['proto.json', '[{"__proto__":1,"toString":2}]', 1, ['__proto__', 'toString']],
    // So many names are taken for the keys of a map, as in `{"id 1": …, "id 2": …}`.
    [
      'keys.ndjson',
      `{${Array.from({ length: 100_000 }, (_, n) => `"c${n}":1`).join(',')}}\n`,
      1,
      ['json'],
    ],
    ['formulas.csv', 'f\n=1+1\n@SUM(A1)\n+1+1\n-1+1\n', 4, ['f']],
    [
      'last-row.xlsx',
      workbookOf(
        '<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="A1048576"><v>2</v></c></row>',
      ),
      2,
      null,
    ],
  ])('%s', async (path, content, rowCount, columns) => {
    const dataset = await datasetWith(path, content);
    expect(await captures()).toEqual(['completed']);
    const [schema, rows, profile, query] = await askAll(dataset, path);
    const found = schema!.body as Schema;
    expect(found).toMatchObject({ rowCount, problem: null });
    const names = found.columns.map(({ name }) => name);
    if (columns) expect(names).toEqual(columns);
    expect(new Set(names.map((name) => name.toLowerCase())).size).toBe(names.length);
    expect((rows!.body as { items: unknown[] }).items).toHaveLength(rowCount);
    expect(profile!.body).toMatchObject({ rowCount });
    expect(query!.body).toEqual([{ n: rowCount }]);
  });

  it('formulas, which a spreadsheet would run of a CSV of ours, begin with an apostrophe', async () => {
    const dataset = await datasetWith('f.csv', 'f\n=1+1\n@SUM(A1)\n+1+1\n-1+1\n');
    const rows = await api.call<string>('GET', at(dataset, 'rows', 'f.csv'), {
      headers: { Accept: 'text/csv' },
    });
    expect(rows.body).toBe(`"f"\r\n"'=1+1"\r\n"'@SUM(A1)"\r\n"'+1+1"\r\n"'-1+1"\r\n`);
    const query = await api.call<string>('POST', `/datasets/${dataset}/refs/main/query`, {
      json: { sql: 'SELECT * FROM "f.csv"', format: 'csv' },
    });
    expect(query.body).toBe(`f\n'=1+1\n'@SUM(A1)\n'+1+1\n'-1+1\n`);
  });
});

it('leaves no more workers behind than there may be', async () => {
  const answers = await Promise.all(
    Array.from({ length: 20 }, () => api.call('GET', at(good, 'rows', 'good.csv'))),
  );
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
  const [jobs] = await database.query<{ n: number }[]>(
    `SELECT count(*)::integer AS n FROM jobs WHERE state IN ('queued', 'running') AND kind LIKE 'tables.%'`,
  );
  expect(jobs?.n).toBe(0);
});
