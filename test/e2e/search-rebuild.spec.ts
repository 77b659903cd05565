import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import path from 'node:path';
import { DataSource } from 'typeorm';
import { startApp, type TestApp } from '../app.js';
import { SearchApi } from '../builders/search-api.js';

let server: TestApp;
let ada: SearchApi;

beforeAll(async () => {
  server = await startApp();
  ada = new SearchApi(server, await server.user('ada'));
});
afterAll(() => server.close());

/** Runs the script as a process of its own, as an operator does. */
function rebuild(
  environment: Record<string, string> = {},
  ...options: string[]
): Promise<{ code: number; out: string; err: string }> {
  const script = [path.resolve('dist/scripts/search-rebuild.js'), ...options];
  const env = { PATH: process.env['PATH'], ...environment };
  return new Promise((resolve) => {
    execFile(process.execPath, script, { env }, (error, out, err) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, out, err });
    });
  });
}

const index = () =>
  server.app.get(DataSource).query<object[]>(
    `SELECT s.*, s.title::text, s.document::text, t.paths, t.columns, t.readme, t.head_version_id
     FROM search_documents s JOIN search_texts t USING (dataset_id) ORDER BY s.dataset_id`,
  );

/** What is answered to some questions, apart from how long that took. */
async function answers(): Promise<unknown[]> {
  const questions = ['glacier', 'meltwater', 'albedo', 'readme', 'velocity', 'glaceir'];
  const found = await Promise.all(questions.map((q) => ada.search({ q })));
  const suggested = await ada.suggest({ q: 'gla' });
  return [...found.map(({ body }) => ({ ...body, queryTimeMs: 0 })), suggested.body.items];
}

describe('npm run search:rebuild', () => {
  it('makes the index from nothing, beside a running server, and all answers are as before', async () => {
    await ada.described(
      { name: 'glaciers', description: 'meltwater by year', tags: ['cold'], metadata: { a: 'b' } },
      {
        'README.md': 'About albedo',
        'velocities.csv': 'station,velocity\n1,2\n',
        'deep/er/x.json': '[{"albedoMean": 1}]',
      },
    );
    await ada.described({ name: 'glacier photographs' });
    const gone = await ada.described({ name: 'glacier that is gone' });
    await ada.call('DELETE', `/datasets/${gone}`);
    await ada.indexed();
    const before = { index: await index(), answers: await answers() };
    expect(before.index).toHaveLength(2);
    expect(before.index[0]).toMatchObject({ columns: expect.arrayContaining(['velocity']) });
    expect(before.answers[0]).toMatchObject({ totalCount: 2 });

    await server.app
      .get(DataSource)
      .query('TRUNCATE search_documents, search_texts, search_words, search_pending');
    expect(await ada.names('glacier')).toEqual([]);

    const environment = { DATABASE_URL: server.databaseUrl, DATA_DIR: server.config.DATA_DIR };
    const { code, out, err } = await rebuild(environment);
    expect([code, err]).toEqual([0, '']);
    expect(out).toMatch(/The search index is made anew, from 2 datasets\.\n$/);
    expect({ index: await index(), answers: await answers() }).toEqual(before);
  });

  it('ends with 2, and a sentence, where it cannot', async () => {
    const environment = { DATABASE_URL: server.databaseUrl, DATA_DIR: server.config.DATA_DIR };
    expect(await rebuild({ ...environment, SEARCH_LANGUAGES: 'german' })).toEqual({
      code: 2,
      out: '',
      err: 'The servers index other SEARCH_LANGUAGES than are set here; set the same.\n',
    });
    const missing = path.join(server.config.DATA_DIR, 'nowhere');
    expect(await rebuild({}, '--data-dir', missing)).toEqual({
      code: 2,
      out: '',
      err: `There is no data directory ${missing}.\n`,
    });
    expect(await rebuild({}, '--help')).toMatchObject({
      code: 0,
      out: expect.stringContaining('Usage'),
    });
  });
});
