import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { VersioningFixture } from '../../test/builders/versioning.js';
import { testDatabase, type TestDatabase } from '../../test/database/test-database.js';
import type { VersionOperation } from '../core/contracts/versions.js';
import type { DatasetId, FileId, VersionId } from '../core/ids.js';
import { comparePaths } from './graph/path.js';
import { readPosition } from './position.js';
import type { TreeItem, TreePlace } from './version-tree.js';

let database: TestDatabase;
let fixture: VersioningFixture;
let files: FileId[];

beforeAll(async () => {
  database = await testDatabase();
  fixture = await VersioningFixture.on(await database.open());
  files = await fixture.files(...Array.from({ length: 8 }, (_, i) => `content ${i}`));
});

afterAll(async () => {
  await database.drop();
});

async function commit(
  dataset: DatasetId,
  operations: readonly VersionOperation[],
): Promise<VersionId> {
  const version = await fixture.unitOfWork.run((tx) =>
    fixture.commits.commit(tx, {
      datasetId: dataset,
      branch: 'main',
      author: fixture.user,
      message: '',
      operations,
    }),
  );
  return version.id;
}

/** Everything a version lists, page by page. */
async function listing(
  version: VersionId,
  range: { prefix?: string; delimiter?: string; limit: number },
): Promise<TreeItem[]> {
  return fixture.unitOfWork.read(async (tx) => {
    const position = await readPosition(tx, version);
    const items: TreeItem[] = [];
    let after: TreePlace | null = null;
    for (;;) {
      const page: TreeItem[] = await fixture.tree.list(tx, position, { ...range, after });
      items.push(...page);
      const last = page.at(-1);
      if (!last || page.length < range.limit) return items;
      after = { path: last.path, isPrefix: last.kind === 'prefix' };
    }
  });
}

/** What a listing must be, from a plain map. */
function expected(
  model: ReadonlyMap<string, FileId>,
  { prefix = '', delimiter }: { prefix?: string; delimiter?: string },
): string[] {
  const lines = new Set<string>();
  for (const [path, file] of model) {
    if (!path.startsWith(prefix)) continue;
    const cut = delimiter === undefined ? -1 : path.indexOf(delimiter, prefix.length);
    lines.add(cut < 0 ? `${path} = ${file}` : `${path.slice(0, cut + delimiter!.length)} …`);
  }
  return [...lines].sort((a, b) => comparePaths(nameOf(a), nameOf(b)));
}

const nameOf = (line: string): string => line.replace(/ (= \d+|…)$/, '');
const shown = (item: TreeItem): string =>
  item.kind === 'prefix' ? `${item.path} …` : `${item.path} = ${item.content.fileId}`;

const segment = fc.constantFrom(
  'a',
  'b',
  'B',
  'é',
  'e\u0301',
  '\ue000',
  '\u{1f98a}',
  ' ',
  '%2e',
  '"',
);
const path = fc.array(segment, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/'));
const change = fc.record({
  path,
  file: fc.nat({ max: 7 }),
  kind: fc.constantFrom('put', 'put', 'remove', 'move'),
  to: path,
});

describe('a version, resolved over its lineage', () => {
  it('agrees with a plain model over random histories, whatever the names, page size, prefix or delimiter', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(change, { minLength: 1, maxLength: 6 }), { minLength: 1, maxLength: 8 }),
        fc.array(fc.nat({ max: 7 }), { maxLength: 3 }),
        fc.integer({ min: 1, max: 7 }),
        path,
        async (history, detached, limit, somewhere) => {
          const dataset = await fixture.aDataset();
          const model = new Map<string, FileId>();
          const versions: { id: VersionId; holds: Map<string, FileId> }[] = [];
          for (const [number, changes] of history.entries()) {
            const before = new Map(model);
            const operations: VersionOperation[] = [];
            for (const { path: at, file, kind, to } of changes) {
              if (kind === 'put') {
                model.set(at, files[file]!);
                operations.push({ op: 'put', path: at, fileId: files[file]! });
              } else if (kind === 'remove' && model.delete(at)) {
                operations.push({ op: 'remove', path: at });
              } else if (kind === 'move' && model.has(at) && !model.has(to)) {
                model.set(to, model.get(at)!);
                model.delete(at);
                operations.push({ op: 'move', from: at, path: to });
              }
            }
            if (sameMap(before, model)) continue;
            const id = await commit(dataset, operations);
            versions.push({ id, holds: new Map(model) });
            if (detached.includes(number)) {
              await fixture.unitOfWork.run((tx) => fixture.lineages.detach(tx, { id, dataset }));
            }
          }
          for (const { id, holds } of versions) {
            for (const range of [
              {},
              { delimiter: '/' },
              { prefix: 'a/', delimiter: '/' },
              { prefix: somewhere },
            ]) {
              const items = await listing(id, { ...range, limit });
              expect(items.map(shown)).toEqual(expected(holds, range));
            }
            const asked = [...new Set([...holds.keys(), 'nowhere', somewhere])];
            const found = await fixture.unitOfWork.read(async (tx) =>
              fixture.tree.lookup(tx, await readPosition(tx, id), asked),
            );
            expect([...found].map(([name, { fileId }]) => [name, fileId]).sort()).toEqual(
              asked
                .filter((name) => holds.has(name))
                .map((name) => [name, holds.get(name)])
                .sort(),
            );
          }
        },
      ),
      { numRuns: 40 },
    );
  });

  it('keeps every version as it was when one path is rewritten again and again', async () => {
    const dataset = await fixture.aDataset();
    const versions: VersionId[] = [];
    for (let i = 0; i < 300; i++) {
      versions.push(await commit(dataset, [{ op: 'put', path: 'a', fileId: files[i % 8]! }]));
    }
    const lineages = await fixture.dataSource.query<{ count: number }[]>(
      'SELECT count(*)::integer AS count FROM dataset_lineages WHERE dataset_id = $1',
      [dataset],
    );
    expect(lineages[0]!.count).toBeGreaterThan(1);
    for (const i of [0, 1, 255, 256, 257, 258, 299]) {
      const items = await listing(versions[i]!, { limit: 10 });
      expect(items.map(shown)).toEqual([`a = ${files[i % 8]}`]);
      const back = await fixture.unitOfWork.read((tx) =>
        fixture.refs.resolve(tx, dataset, `main~${299 - i}`),
      );
      expect(back.id).toBe(versions[i]);
    }
  });

  it('starts afresh when most of what was there is removed, and old versions still hold it', async () => {
    const dataset = await fixture.aDataset();
    const names = Array.from({ length: 3000 }, (_, i) => `${String(i).padStart(5, '0')}.txt`);
    const full = await commit(
      dataset,
      names.map((name) => ({ op: 'put', path: name, fileId: files[0]! })),
    );
    const few = await commit(
      dataset,
      names.slice(0, 2990).map((name) => ({ op: 'remove', path: name })),
    );
    const next = await commit(dataset, [{ op: 'put', path: 'zzz', fileId: files[1]! }]);
    const position = await fixture.unitOfWork.read((tx) => readPosition(tx, few));
    expect(position.segments).toMatchObject([{ depth: 0, rows: 10, baseRows: 10 }]);
    expect(await listing(few, { limit: 7 })).toHaveLength(10);
    expect(await listing(next, { limit: 7 })).toHaveLength(11);
    expect(await listing(full, { limit: 900 })).toHaveLength(3000);
    expect(await listing(full, { limit: 1000, delimiter: '5' })).toEqual(
      expect.arrayContaining([{ kind: 'prefix', path: '00005' }]),
    );
  });
});

function sameMap(a: ReadonlyMap<string, FileId>, b: ReadonlyMap<string, FileId>): boolean {
  return a.size === b.size && [...a].every(([key, value]) => b.get(key) === value);
}
