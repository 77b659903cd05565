import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createHash } from 'node:crypto';
import { DataSource } from 'typeorm';
import { startApp, type TestApp } from '../app.js';
import { eventually } from '../builders/eventually.js';
import { SearchApi } from '../builders/search-api.js';

let server: TestApp;
let ada: SearchApi;
let admin: SearchApi;

beforeAll(async () => {
  server = await startApp();
  ada = new SearchApi(server, await server.user('ada'));
  admin = new SearchApi(server, server.admin);
});

afterAll(() => server.close());

/** The index as it is, and as it would be if it were made from nothing. */
async function isFresh(): Promise<boolean> {
  const read = () =>
    server.app.get(DataSource).query<object[]>(
      `SELECT s.dataset_id, s.folded_name, s.spelling, s.tags, s.file_types, s.file_count,
         s.total_size, s.updated_at, s.title::text, s.document::text, t.paths, t.columns, t.readme,
         t.head_version_id
       FROM search_documents s JOIN search_texts t USING (dataset_id) ORDER BY 1`,
    );
  const before = await read();
  await server.app.get(DataSource).query('TRUNCATE search_documents, search_texts');
  await rebuild();
  expect(await read()).toEqual(before);
  return before.length > 0;
}

async function rebuild(): Promise<void> {
  const { status, body } = await admin.call<{ id: string }>('POST', '/admin/search/rebuild');
  expect(status).toBe(202);
  await eventually(async () => {
    const job = await admin.call<{ state: string }>('GET', `/jobs/${body.id}`);
    return job.body.state === 'completed' ? true : null;
  });
}

describe('the search index', () => {
  it('follows every change: names, tags, commits, branches, deletions, restorations', async () => {
    const id = await ada.described({ name: 'first name', tags: ['alpha'] }, { 'old.csv': '1' });
    await ada.indexed();
    await ada.call('PATCH', `/datasets/${id}`, { json: { name: 'second name' } });
    await ada.call('PUT', `/datasets/${id}/tags/beta`);
    await ada.commit(id, [{ op: 'move', from: 'old.csv', path: 'new.csv' }]);
    await ada.indexed();
    expect(await ada.names('first')).toEqual([]);
    expect(await ada.names('old')).toEqual([]);
    expect(await ada.names('second beta new')).toEqual(['second name']);

    // Only the default branch counts; moving it counts at once.
    await ada.call('POST', `/datasets/${id}/branches`, { json: { name: 'side', from: 'main' } });
    const side = await ada.commitFiles(id, { 'sideways.csv': '2' }, { branch: 'side' });
    await ada.indexed();
    expect(await ada.names('sideways')).toEqual([]);
    const main = await ada.call('GET', `/datasets/${id}/branches/main`);
    const moved = await ada.call('PATCH', `/datasets/${id}/branches/main`, {
      json: { to: side.body.digest },
      headers: { 'If-Match': main.headers.get('etag') ?? '' },
    });
    expect(moved.status).toBe(200);
    await ada.indexed();
    expect(await ada.names('sideways')).toEqual(['second name']);

    await ada.call('DELETE', `/datasets/${id}`);
    // At once, before anything has been told.
    expect(await ada.names('second')).toEqual([]);
    await ada.indexed();
    await ada.call('POST', `/datasets/${id}/restore`);
    await ada.indexed();
    expect(await ada.names('second')).toEqual(['second name']);
    expect(await isFresh()).toBe(true);
  });

  it('knows what the columns of tables are called, as soon as they were read', async () => {
    const id = await ada.described(
      { name: 'stations' },
      {
        'a.csv': 'station_id,airTemperature\n1,2.5\n',
        'b/c.ndjson': '{"site": {"elevation": 3}, "readings": [{"humidity": 4}]}\n',
        'notes.md': 'no table',
      },
    );
    await ada.indexed();
    expect(await ada.highlights('temperature')).toEqual({
      columns: ['air<mark>Temperature</mark>'],
    });
    expect(await ada.highlights('elevation')).toEqual({
      columns: ['site.<mark>elevation</mark>'],
    });
    expect(await ada.names('humidity station')).toEqual(['stations']);
    // Before what is only said in passing, and found again where the index is made from nothing.
    await ada.described({ name: 'other' }, { 'readme.md': 'has to do with temperature' });
    await ada.indexed();
    expect(await ada.names('temperature')).toEqual(['stations', 'other']);
    expect(await isFresh()).toBe(true);
    expect(await ada.names('temperature')).toEqual(['stations', 'other']);

    await ada.commitFiles(id, { 'a.csv': 'station_id,pressure\n1,2.5\n' });
    await ada.indexed();
    expect(await ada.names('temperature')).toEqual(['other']);
    expect(await ada.names('pressure')).toEqual(['stations']);
    // A content that has been read before is known at once.
    await ada.described({ name: 'again' }, { 'copy.csv': 'station_id,pressure\n1,2.5\n' });
    await ada.indexed();
    expect((await ada.names('pressure')).sort()).toEqual(['again', 'stations']);
  });

  it('reads the README again only where it is another, and takes anything for text', async () => {
    const id = await ada.described({ name: 'documented' }, { 'ReadMe.md': 'the wombat report' });
    await ada.indexed();
    expect(await ada.names('wombat')).toEqual(['documented']);
    await ada.commitFiles(id, { 'other.csv': '1' });
    await ada.indexed();
    expect(await ada.names('wombat other')).toEqual(['documented']);
    await ada.commitFiles(id, { 'ReadMe.md': `\0\u{1f98a} ${'x'.repeat(70_000)} platypus` });
    await ada.indexed();
    expect(await ada.names('wombat')).toEqual([]);
    // Too far down to be read.
    expect(await ada.names('platypus')).toEqual([]);
    await ada.commit(id, [{ op: 'remove', path: 'ReadMe.md' }]);
    await ada.indexed();
    expect(await ada.names('documented')).toEqual(['documented']);
  });

  it('reads a bounded part of a large version: some of each folder, and its README', async () => {
    const fileId = await ada.upload('the same');
    const id = await ada.described({ name: 'many files' });
    const operations = [
      ...Array.from({ length: 3000 }, (_, at) => `a/part-${at}.bin`),
      ...Array.from({ length: 150 }, (_, at) => `b/deep/er/part-${at}.bin`),
      'readme.txt',
      'z/zebra.csv',
    ].map((path) => ({ op: 'put', path, fileId }));
    await ada.commit(id, operations);
    await ada.indexed();
    expect(await ada.names('zebra')).toEqual(['many files']);
    expect(await ada.names('deep')).toEqual(['many files']);
    const { body } = await ada.search({ q: 'zebra' });
    expect(body.items[0]).toMatchObject({ fileCount: 3152, fileTypes: ['txt'] });
    expect(await ada.names('same many')).toEqual(['many files']);
  });

  it('is whole after commits, changes, deletions and rebuilds that all ran at once', async () => {
    const ids = await Promise.all(
      Array.from({ length: 8 }, (_, at) => ada.described({ name: `racing ${at}` })),
    );
    const turns = async (id: number, at: number) => {
      for (let turn = 0; turn < 4; turn++) {
        await ada.commitFiles(id, { [`turn-${turn}.csv`]: `${id} ${turn}` });
        await ada.call('PUT', `/datasets/${id}/tags/turn-${turn}`);
        await ada.call('PATCH', `/datasets/${id}`, { json: { description: `turn ${turn}` } });
        if (at % 2 === 1) {
          await ada.call('DELETE', `/datasets/${id}`);
          if (at % 4 === 1) await ada.call('POST', `/datasets/${id}/restore`);
        }
      }
    };
    await Promise.all([
      ...ids.map(turns),
      admin.call('POST', '/admin/search/rebuild'),
      rebuild().then(() => rebuild()),
    ]);
    await ada.indexed();
    expect((await ada.names('racing')).sort()).toEqual(
      [0, 1, 2, 4, 5, 6].map((at) => `racing ${at}`),
    );
    expect(await isFresh()).toBe(true);
  });

  it('forgets the words that no dataset has any more when it is made anew', async () => {
    const words = async () => {
      const rows = await server.app
        .get(DataSource)
        .query<{ word: string }[]>(`SELECT word FROM search_words WHERE word LIKE 'ephemer%'`);
      return rows.map(({ word }) => word);
    };
    const id = await ada.described({ name: 'ephemeral' });
    await ada.indexed();
    expect(await words()).toEqual(['ephemeral']);
    await ada.call('PATCH', `/datasets/${id}`, { json: { name: 'lasting' } });
    await ada.indexed();
    await rebuild();
    expect(await words()).toEqual([]);
  });

  it('finds contents by their digest in the versions that have them, for whoever may read', async () => {
    const bob = new SearchApi(server, await server.user('bob'));
    const content = 'a content of its own';
    const sha256 = createHash('sha256').update(content).digest('hex');
    const id = await ada.described({ name: 'holder' }, { 'a.txt': content });
    await ada.commitFiles(id, { 'b.txt': 'x' });
    const last = await ada.commitFiles(id, { 'copies/a.txt': content, 'a.txt': 'replaced' });
    const { status, body } = await ada.places(sha256);
    expect(status).toBe(200);
    expect(
      body.items.map(({ dataset, path, versions }) => [
        dataset,
        path,
        versions.map(({ first, last }) => [first.versionNumber, last.versionNumber]),
      ]),
    ).toEqual([
      [{ id, name: 'holder' }, 'a.txt', [[1, 2]]],
      [{ id, name: 'holder' }, 'copies/a.txt', [[3, 3]]],
    ]);
    expect(body.items[1]?.versions[0]?.last.digest).toBe(last.body.digest);
    const page = await ada.places(sha256, { limit: '1' });
    const next = await ada.places(sha256, { limit: '1', cursor: page.body.nextCursor ?? '' });
    expect([...page.body.items, ...next.body.items]).toEqual(body.items);
    expect(next.body.nextCursor).toBeNull();

    const hidden = await bob.places(sha256);
    expect(hidden.body).toEqual({ items: [], nextCursor: null });
    expect((await bob.places('0'.repeat(64))).body).toEqual(hidden.body);
    expect((await admin.places(sha256)).body.items).toHaveLength(2);
  });
});

describe('a server with other languages than before', () => {
  it('makes the index anew', async () => {
    const source = server.app.get(DataSource);
    await ada.described({ name: 'languages', description: 'Klimadaten der Städte' });
    await ada.indexed();
    expect(await ada.names('"stadt"')).toEqual([]);
    const { createServer } = await import('../../src/server.js');
    const { drain } = await import('../../src/http-application.js');
    const config = { ...server.config, SEARCH_LANGUAGES: ['german'] };
    const other = await createServer({ config, databaseUrl: server.databaseUrl });
    await other.listen(0, '127.0.0.1');
    try {
      await eventually(async () => {
        const [found] = await source.query<{ document: string }[]>(
          `SELECT document::text FROM search_documents WHERE folded_name = 'languages'`,
        );
        return found?.document.includes("'stadt'") ? true : null;
      });
    } finally {
      await drain(other, 5_000);
    }
  });
});
