import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomInt } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { STORAGE_BACKEND, type StorageBackend } from '../src/core/contracts/storage-backend.js';
import type { Reader } from '../src/core/contracts/unit-of-work.js';
import { TypeOrmUnitOfWork } from '../src/platform/database/unit-of-work.js';
import { RecordWriter } from '../src/records/record-writer.js';
import { Rebuild } from '../src/rebuild/rebuild.js';
import { Compare } from '../src/versioning/compare.js';
import { applied, type Difference } from '../src/versioning/graph/diff.js';
import type { Content } from '../src/versioning/graph/overlay.js';
import { readPosition, type ReadPosition } from '../src/versioning/position.js';
import { Refs } from '../src/versioning/refs.js';
import { ChainVerification } from '../src/versioning/verification.js';
import { VersionTree, type TreePlace } from '../src/versioning/version-tree.js';
import { startApp, type TestApp } from './app.js';
import { RandomHistory } from './builders/random-history.js';
import { listed, Random, sameSnapshot, type Snapshot } from './builders/snapshot-model.js';
import { testDatabase } from './database/test-database.js';

const VERSIONS = 500;
const PAIRS = 100;

/** Printed where anything fails: with it in TEST_SEED the same history happens again. */
const seed = Number(process.env['TEST_SEED'] ?? randomInt(2 ** 31));

let server: TestApp;
let history: RandomHistory;
let dataDir: string;

beforeAll(async () => {
  dataDir = await mkdtemp(path.join(tmpdir(), 'varve-random-'));
  server = await startApp({ DATA_DIR: dataDir });
  history = await RandomHistory.begin(server, new Random(seed));
});

afterAll(async () => {
  await server.close();
  await rm(dataDir, { recursive: true, force: true });
});

/** Says with a failure how it can be had again. */
async function seeded(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    throw new Error(`With TEST_SEED=${seed}: ${(error as Error).message}`, { cause: error });
  }
}

const read = <T>(work: (tx: Reader) => Promise<T>): Promise<T> => history.unitOfWork.read(work);
const of = <T>(type: abstract new (...args: never[]) => T): T =>
  server.app.get<T>(type, { strict: false });

/** All items of a listing, by pages of a size. */
async function listing(
  tx: Reader,
  position: ReadPosition,
  range: { prefix?: string; delimiter?: string },
  limit: number,
): Promise<[string, number | null][]> {
  const items: [string, number | null][] = [];
  for (let after: TreePlace | null = null; ;) {
    const page = await of(VersionTree).list(tx, position, { ...range, after, limit });
    for (const item of page) {
      const content = item.kind === 'entry' ? history.changes.numberOf(item.content) : null;
      items.push([item.path, content]);
    }
    const last = page.at(-1);
    if (!last || page.length < limit) return items;
    after = { path: last.path, isPrefix: last.kind === 'prefix' };
  }
}

/** Holds one version, read in every way there is, against its snapshot. */
async function expectVersion(number: number, snapshot: Snapshot): Promise<void> {
  const { random, dataset } = history;
  await read(async (tx) => {
    const version = await of(Refs).resolve(tx, dataset, String(number));
    const sizes = [...snapshot.values()].map((each) => history.changes.content(each).sizeBytes);
    expect([version.fileCount, version.totalSizeBytes]).toEqual([
      snapshot.size,
      sizes.reduce((sum, size) => sum + size, 0),
    ]);
    const position = await readPosition(tx, version.id);
    expect(await listing(tx, position, {}, 1000)).toEqual(listed(snapshot, {}));
    const somewhere = history.changes.aPath();
    const ranges = [{}, { delimiter: '/' }, { prefix: somewhere, delimiter: '/' }];
    const range = random.pick(ranges);
    const items = await listing(tx, position, range, 5 + random.below(20));
    expect(items).toEqual(listed(snapshot, range));
    const asked = [...new Set([...snapshot.keys(), somewhere, 'nowhere'])];
    const found = await of(VersionTree).lookup(tx, position, asked);
    const plain = new Map(
      [...found].map(([at, content]) => [at, history.changes.numberOf(content)]),
    );
    expect(sameSnapshot(plain, snapshot)).toBe(true);
  });
}

const contentsOf = (snapshot: Snapshot): Map<string, Content> =>
  new Map([...snapshot].map(([at, number]) => [at, history.changes.content(number)]));

/** Every path that a difference is about. */
const pathsOf = (difference: Difference): string[] =>
  difference.kind === 'moved' ? [difference.from, difference.path] : [difference.path];

/** Everything that differs between two versions, by pages of a size. */
async function pages(numbers: readonly [number, number], limit: number): Promise<Difference[]> {
  const items: Difference[] = [];
  const sides = [history.idOf(numbers[0]), history.idOf(numbers[1])] as const;
  for (;;) {
    const after = items.at(-1)?.path ?? '';
    const page = await read((tx) => of(Compare).page(tx, sides, { after, limit }));
    items.push(...page.items);
    if (!page.hasMore) return items;
  }
}

describe(`a random history of ${VERSIONS} versions`, () => {
  it('agrees with a model that keeps whole snapshots while it happens', () =>
    seeded(async () => {
      while (history.ids.size < VERSIONS) await history.step();
      const { model, ids, dataset } = history;
      expect(ids.size - model.versions.size).toBeGreaterThan(0);
      for (const [name, number] of [...model.branches, ...model.tags]) {
        const version = await read((tx) => of(Refs).resolve(tx, dataset, name));
        expect([name, version.versionNumber]).toEqual([name, number]);
      }
    }));

  it('lists, pages, folds and looks up every version as its snapshot has it', () =>
    seeded(async () => {
      for (const { number, snapshot } of history.model.versions.values()) {
        await expectVersion(number, snapshot);
      }
    }));

  it('goes back over first parents from every version', () =>
    seeded(async () => {
      const { model, random, dataset } = history;
      for (const { number } of model.versions.values()) {
        const generations = random.below(60);
        let expected: number | undefined = number;
        for (let i = 0; i < generations && expected !== undefined; i++) {
          expected = model.version(expected).parents[0];
        }
        const found = await read((tx) =>
          of(Refs).resolve(tx, dataset, `${number}~${generations}`),
        ).catch(() => undefined);
        expect(found?.versionNumber).toBe(expected);
      }
    }));

  it('tells between any two versions exactly what differs', () =>
    seeded(async () => {
      const { model, random } = history;
      for (let i = 0; i < PAIRS; i++) {
        const [one, other] = [
          random.pick(model.versions.values()),
          random.pick(model.versions.values()),
        ];
        const [before, after] = [contentsOf(one.snapshot), contentsOf(other.snapshot)];
        const found = await read((tx) =>
          of(Compare).differences(tx, history.idOf(one.number), history.idOf(other.number)),
        );
        expect(await pages([one.number, other.number], 1 + random.below(9))).toEqual(found);
        const result = new Map(
          [...applied(found, before)].map(([at, content]) => [
            at,
            history.changes.numberOf(content),
          ]),
        );
        expect(sameSnapshot(result, other.snapshot)).toBe(true);
        for (const at of found.flatMap(pathsOf)) expect(before.get(at)).not.toBe(after.get(at));
      }
    }));

  it('is proved by its digests from the first version to the last', () =>
    seeded(async () => {
      // Of deleted versions the tombstones are proved.
      const report = await of(ChainVerification).verify(history.dataset);
      expect(report).toMatchObject({
        firstFault: null,
        verifiedVersions: history.ids.size,
      });
    }));

  it('is the same again in a database that is made from the storage alone', () =>
    seeded(async () => {
      await of(RecordWriter).flush();
      const database = await testDatabase();
      const dataSource = await database.open();
      const report = await new Rebuild(
        new TypeOrmUnitOfWork(dataSource, (error) => {
          throw error;
        }),
        server.app.get<StorageBackend>(STORAGE_BACKEND, { strict: false }),
      ).run({
        hash: true,
        acceptLosses: false,
        origin: null,
        signal: new AbortController().signal,
        progress: () => undefined,
      });
      expect(report).toMatchObject({ finished: true, losses: [] });
      // Deleted versions are known to nobody; of the others each says what it said.
      const rows = (source: { query: <T>(sql: string, parameters: unknown[]) => Promise<T> }) =>
        source.query<object[]>(
          `SELECT v.version_number, v.digest, v.file_count, v.total_size, p.digest AS parent,
             m.digest AS merge_parent, v.message, v.committed_at,
             (SELECT json_agg(json_build_array(e.component_name, f.content_hash, e.metadata)
                ORDER BY e.component_name)
              FROM dataset_version_files e LEFT JOIN files f ON f.id = e.file_id
              WHERE e.version_id = v.id) AS entries
           FROM dataset_versions v LEFT JOIN dataset_versions p ON p.id = v.parent_version_id
           LEFT JOIN dataset_versions m ON m.id = v.merge_parent_id
           WHERE v.dataset_id = $1 AND v.status = 'committed' ORDER BY v.version_number`,
          [history.dataset],
        );
      const own = {
        query: <T>(sql: string, parameters: unknown[]) =>
          read((tx) => tx.query(sql, parameters)) as Promise<T>,
      };
      expect(await rows(dataSource)).toEqual(await rows(own));
      await database.drop();
    }));
});
