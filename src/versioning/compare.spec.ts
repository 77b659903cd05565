import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { VersioningFixture } from '../../test/builders/versioning.js';
import { testDatabase, type TestDatabase } from '../../test/database/test-database.js';
import type { DatasetId, FileId } from '../core/ids.js';
import { Compare } from './compare.js';
import { History } from './history.js';

let database: TestDatabase;
let fixture: VersioningFixture;
let compare: Compare;

beforeAll(async () => {
  database = await testDatabase();
  fixture = await VersioningFixture.on(await database.open());
  compare = new Compare(new History(), fixture.tree);
});

afterAll(async () => {
  await database.drop();
});

const commit = (datasetId: DatasetId, paths: readonly string[], fileId: FileId) =>
  fixture.unitOfWork.run((tx) =>
    fixture.commits.commit(tx, {
      datasetId,
      branch: 'main',
      author: fixture.user,
      message: '',
      operations: paths.map((path) => ({ op: 'put', path, fileId })),
    }),
  );

describe('a page of a comparison', () => {
  it('tells of very many paths of one content, page by page', async () => {
    const [content] = await fixture.files('the same everywhere');
    const dataset = await fixture.aDataset();
    const paths = Array.from({ length: 150_000 }, (_, i) => String(i).padStart(6, '0'));
    const before = await commit(dataset, ['kept'], content!);
    const full = await commit(dataset, paths, content!);
    const page = (after: string) =>
      fixture.unitOfWork.read((tx) =>
        compare.page(tx, [full.id, before.id], { after, limit: 100 }),
      );

    const first = await page('');
    expect(first.items.map(({ path }) => path)).toEqual(paths.slice(0, 100));
    expect(new Set(first.items.map(({ kind }) => kind))).toEqual(new Set(['removed']));
    expect(first.hasMore).toBe(true);
    const last = await page(paths.at(-3)!);
    expect(last.items.map(({ path }) => path)).toEqual(paths.slice(-2));
    expect(last.hasMore).toBe(false);
  });
});
