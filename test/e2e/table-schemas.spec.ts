import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { writeXlsx } from 'hucre/xlsx';
import { DataSource } from 'typeorm';
import { startApp, type TestApp } from '../app.js';
import { capturedAll } from '../builders/captures.js';
import { eventually } from '../builders/eventually.js';
import { VersionsApi, codeOf, type Version } from '../builders/versions-api.js';

interface Schema {
  rowCount: number | null;
  columns: { name: string; nullable: boolean | null }[];
  problem: { code: string } | null;
}

let server: TestApp;
let api: VersionsApi;
let database: DataSource;

beforeAll(async () => {
  server = await startApp();
  api = new VersionsApi(server, server.admin);
  database = await new DataSource({ type: 'postgres', url: server.databaseUrl }).initialize();
});
afterAll(async () => {
  await database.destroy();
  await server.close();
});

async function commit(dataset: number, files: Record<string, string>): Promise<Version> {
  const { status, body } = await api.commitFiles(dataset, files);
  expect([status, body]).toEqual([201, body]);
  return body;
}

const schemaOf = async (dataset: number, path: string) =>
  (await api.call<Schema>('GET', `/datasets/${dataset}/refs/main/schema?path=${path}`)).body;

const capturedIn = (version: Version) =>
  database.query<{ path: string; schema: Schema }[]>(
    `SELECT component_name AS path, schema_json AS schema FROM dataset_schema_versions
     WHERE dataset_version_id = $1 ORDER BY 1`,
    [version.id],
  );

describe('after a commit', () => {
  it('a small file that ends its reader takes none of those beside it along', async () => {
    const dataset = await api.aDataset();
    const small = Array.from({ length: 30 }, (_, at) => [`t${at}.csv`, `id\n${at}\n7\n`]);
    const version = await commit(dataset, {
      ...(Object.fromEntries(small) as Record<string, string>),
      'deep.json': `[{"a":1},${'['.repeat(100_000)}`,
    });
    await eventually(async () => expect(await capturedIn(version)).toHaveLength(30));
    for (const { schema } of await capturedIn(version)) expect(schema.rowCount).toBe(2);
    expect((await schemaOf(dataset, 'deep.json')).problem?.code).toBe('malformed');
  });

  it('a workbook without the sheet that its metadata name stands in nobody’s way', async () => {
    const dataset = await api.aDataset();
    const book = await writeXlsx({ sheets: [{ name: 'Here', rows: [['id'], [1]] }] });
    const metadata = { table: { sheet: 'Elsewhere' } };
    const operations = [
      { op: 'put', path: 'a.csv', fileId: await api.upload('id\n1\n') },
      { op: 'put', path: 'book.xlsx', fileId: await api.upload(new Uint8Array(book)), metadata },
      { op: 'put', path: 'c.csv', fileId: await api.upload('id\n2\n') },
    ];
    const { body: version } = await api.commit(dataset, operations);
    await eventually(async () => expect(await capturedIn(version)).toHaveLength(2));
    await capturedAll(database);
    const failed = `SELECT error FROM jobs WHERE kind = 'tables.capture-schemas' AND state = 'failed'`;
    expect(await database.query(failed)).toEqual([]);
    const answer = await api.call('GET', `/datasets/${dataset}/refs/main/schema?path=book.xlsx`);
    expect(codeOf(answer)).toBe('400 invalid-input');
    expect(JSON.stringify(answer.body)).toContain('Here');
  });

  it('what its tables are is captured, from all of their rows', async () => {
    const dataset = await api.aDataset();
    const version = await commit(dataset, {
      'a.csv': 'id,v\n1,\n2,x\n',
      'b.md': '# none',
      'bad.csv': 'a,b\n1,"x\n2,y\n',
    });
    await eventually(async () => expect(await capturedIn(version)).toHaveLength(1));
    const [captured] = await capturedIn(version);
    expect(captured).toMatchObject({ path: 'a.csv', schema: { rowCount: 2 } });
    const schema = await schemaOf(dataset, 'a.csv');
    expect(schema).toMatchObject({
      rowCount: 2,
      columns: [
        { name: 'id', nullable: false },
        { name: 'v', nullable: true },
      ],
    });
    expect((await schemaOf(dataset, 'bad.csv')).problem?.code).toBe('malformed');
    const rows = await api.call('GET', `/datasets/${dataset}/refs/main/rows?path=bad.csv`);
    expect(codeOf(rows)).toBe('422 table-unreadable');
  });

  it('a content is captured once, wherever it stands', async () => {
    const dataset = await api.aDataset();
    const content = `only,once\n${Date.now()},1\n`;
    await commit(dataset, { 'one.csv': content });
    const second = await commit(dataset, { 'two.csv': content });
    await eventually(async () => expect(await capturedIn(second)).toHaveLength(1));
    const contents = await database.query<object[]>(
      `SELECT FROM table_contents WHERE description::text LIKE '%"once"%'`,
    );
    expect(contents).toHaveLength(1);
  });

  it('a table that is not as it was is told of', async () => {
    const dataset = await api.aDataset();
    const first = await commit(dataset, { 't.csv': 'id,v\n1,x\n', 'same.csv': 'a\n1\n' });
    await eventually(async () => expect(await capturedIn(first)).toHaveLength(2));
    const second = await commit(dataset, { 't.csv': 'id,w\n1.5,x\n', 'same.csv': 'a\n2\n' });
    await eventually(async () => expect(await capturedIn(second)).toHaveLength(2));
    const events = await database.query<{ data: object }[]>(
      `SELECT data FROM events WHERE type = 'dataset.schema.changed'`,
    );
    expect(events.map(({ data }) => data)).toEqual([
      {
        datasetId: dataset,
        versionId: second.id,
        path: 't.csv',
        verdict: 'breaking',
        columns: ['w', 'v', 'id'],
      },
    ]);
  });
});

describe('two versions of a table', () => {
  it('are compared by their columns', async () => {
    const dataset = await api.aDataset();
    await commit(dataset, { 't.csv': 'id,v,gone\n1,x,1\n' });
    await commit(dataset, { 't.csv': 'id,w,gone\n1.5,x,1\n', 'x.md': '#' });
    const compare = (path: string) =>
      api.call('GET', `/datasets/${dataset}/compare/schema?base=1&head=main&path=${path}`);
    expect((await compare('t.csv')).body).toMatchObject({
      added: [{ name: 'w' }],
      removed: [{ name: 'v' }],
      renamed: [{ from: 'v', to: 'w' }],
      retyped: [{ name: 'id', from: 'int64', to: 'float64', change: 'incompatible' }],
      verdict: 'breaking',
    });
    expect(codeOf(await compare('x.md'))).toBe('404 not-found');
  });
});

describe('a dataset that demands compatibility', () => {
  it('refuses what breaks it, by name, and takes the rest', async () => {
    const dataset = await api.aDataset();
    const rules = [{ pattern: 'kept/**', level: 'full' }];
    const at = `/datasets/${dataset}/schema-rules`;
    expect((await api.call('PUT', at, { json: { rules } })).status).toBe(200);
    expect((await api.call('GET', at)).body).toEqual({ rules });
    await commit(dataset, { 'kept/t.csv': 'id,v\n1,x\n', 'free.csv': 'a\n1\n' });
    const refused = await api.commitFiles(dataset, { 'kept/t.csv': 'id\nx\n' });
    expect(refused.status).toBe(422);
    expect(JSON.stringify(refused.body)).toContain('schema-compatibility');
    expect(JSON.stringify(refused.body)).toContain('is gone');
    const unreadable = await api.commitFiles(dataset, { 'kept/t.csv': 'a,b\n1,"x\n' });
    expect(unreadable.status).toBe(422);
    const removed = await api.commit(dataset, [{ op: 'remove', path: 'kept/t.csv' }]);
    expect(removed.status).toBe(422);
    await commit(dataset, { 'kept/t.csv': 'id,v,more\n1,x,2\n', 'free.csv': 'b\nx\n' });
  });
});
