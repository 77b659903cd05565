import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { writeXlsx } from 'hucre/xlsx';
import { startApp, type TestApp } from '../app.js';
import { VersionsApi, codeOf, type Answer } from '../builders/versions-api.js';

interface Comparison {
  key: string[];
  addedColumns: { name: string }[];
  removedColumns: { name: string }[];
  counts: { added: number; removed: number; changed: number };
  items: {
    change: string;
    key: Record<string, unknown>;
    row: Record<string, unknown> | null;
    cells: { column: string; before: unknown; after: unknown }[] | null;
  }[];
  nextCursor: string | null;
}

let server: TestApp;
let api: VersionsApi;

beforeAll(async () => {
  server = await startApp();
  api = new VersionsApi(server, server.admin);
});
afterAll(() => server.close());

async function twoVersions(before: string, after: string, path = 't.csv'): Promise<number> {
  const dataset = await api.aDataset();
  await api.commitFiles(dataset, { [path]: before });
  await api.commitFiles(dataset, { [path]: after });
  return dataset;
}

function compare(
  dataset: number,
  query: Record<string, string> = {},
  as = api,
): Promise<Answer<Comparison>> {
  const asked = { base: '1', head: 'main', path: 't.csv', key: 'id', ...query };
  return as.call(
    'GET',
    `/datasets/${dataset}/compare/rows?${new URLSearchParams(asked).toString()}`,
  );
}

describe('two versions of a table', () => {
  it('differ in rows and cells, though their columns differ too', async () => {
    const dataset = await twoVersions(
      'id,name,gone\n1,a,x\n2,b,x\n3,9007199254740993,x\n',
      'id,name,came\n2,c,y\n3,9007199254740993,y\n4,d,y\n',
    );
    const { status, body } = await compare(dataset);
    expect(status).toBe(200);
    expect(body).toMatchObject({
      key: ['id'],
      addedColumns: [{ name: 'came', type: 'string' }],
      removedColumns: [{ name: 'gone' }],
      counts: { added: 1, removed: 1, changed: 1 },
      nextCursor: null,
    });
    expect(body.items).toEqual([
      { change: 'removed', key: { id: 1 }, row: { id: 1, name: 'a', gone: 'x' }, cells: null },
      {
        change: 'changed',
        key: { id: 2 },
        row: null,
        cells: [{ column: 'name', before: 'b', after: 'c' }],
      },
      { change: 'added', key: { id: 4 }, row: { id: 4, name: 'd', came: 'y' }, cells: null },
    ]);
    expect((await compare(dataset, { base: 'main' })).body).toMatchObject({
      counts: { added: 0, removed: 0, changed: 0 },
      items: [],
    });
  });

  it('are compared page by page, whatever is committed meanwhile', async () => {
    const rows = (from: number, to: number) =>
      Array.from({ length: to - from }, (_, n) => `${from + n},v`).join('\n');
    const dataset = await twoVersions(`id,v\n${rows(0, 20)}\n`, `id,v\n${rows(10, 30)}\n`);
    const seen: unknown[] = [];
    for (let cursor: string | null = ''; cursor !== null;) {
      const query = { limit: '7', ...(cursor && { cursor }) };
      const { body }: Answer<Comparison> = await compare(dataset, query);
      seen.push(...body.items.map(({ change, key }) => [change, key['id']]));
      if (cursor === '') await api.commitFiles(dataset, { 't.csv': 'id,v\n1,w\n' });
      cursor = body.nextCursor;
    }
    expect(seen).toEqual([
      ...Array.from({ length: 10 }, (_, id) => ['removed', id]),
      ...Array.from({ length: 10 }, (_, n) => ['added', 20 + n]),
    ]);
  });

  it('are compared by a sheet of a workbook', async () => {
    const dataset = await api.aDataset();
    for (const price of [1, 2]) {
      const sheets = [
        { name: 'A', rows: [['x'], ['y']] },
        {
          name: 'B',
          rows: [
            ['id', 'price'],
            [1, price],
          ],
        },
      ];
      const form = new FormData();
      form.set('message', 'a workbook');
      form.append('file', new Blob([Buffer.from(await writeXlsx({ sheets }))]), 'b.xlsx');
      await api.call('POST', `/datasets/${dataset}/versions`, { body: form });
    }
    const { body } = await compare(dataset, { path: 'b.xlsx', sheet: 'B' });
    expect(body.items).toMatchObject([{ cells: [{ column: 'price', before: 1, after: 2 }] }]);
  });
});

describe('a comparison of rows', () => {
  it('needs keys that tell rows apart, and says what to do', async () => {
    const dataset = await twoVersions('id,v\n1,a\n', 'id,v\n1,a\n1,b\n,c\n,d\n');
    const answer = await compare(dataset);
    expect(codeOf(answer)).toBe('422 rows-not-comparable');
    expect(answer.body).toMatchObject({
      detail: expect.stringMatching(/^2 keys .* of the head.*name columns that tell rows apart/),
    });
    expect((await compare(dataset, { key: 'id,v' })).body.counts).toEqual({
      added: 3,
      removed: 0,
      changed: 0,
    });
  });

  it.each([
    [{ key: 'nothing' }, '400 invalid-input'],
    [{ key: 'id,id' }, '400 invalid-input'],
    [{ key: 'id,,v' }, '400 invalid-input'],
    [{ key: '' }, '400 invalid-input'],
    [{ cursor: 'x' }, '400 invalid-input'],
    [{ limit: '0' }, '400 invalid-input'],
    [{ where: 'id = 1' }, '400 invalid-input'],
    [{ base: 'nowhere' }, '404 not-found'],
    [{ path: 'nothing.csv' }, '404 not-found'],
    [{ path: 'README.md' }, '422 not-a-table'],
    [{ path: 'bad.csv' }, '422 table-unreadable'],
  ])('of %j is %s', async (query, code) => {
    const dataset = await api.aDataset();
    const files = { 't.csv': 'id,v\n1,a\n', 'README.md': '# Read me', 'bad.csv': 'id,v\n1,"x\n' };
    await api.commitFiles(dataset, files);
    expect(codeOf(await compare(dataset, query as Record<string, string>))).toBe(code);
  });

  it('is not for strangers', async () => {
    const dataset = await twoVersions('id\n1\n', 'id\n2\n');
    const stranger = new VersionsApi(server, await server.user('stranger to comparisons'));
    expect(codeOf(await compare(dataset, {}, stranger))).toBe('404 not-found');
  });
});
