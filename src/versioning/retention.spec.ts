import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { VersioningFixture } from '../../test/builders/versioning.js';
import { testDatabase, type TestDatabase } from '../../test/database/test-database.js';
import type { VersionOperation, VersionRecord } from '../core/contracts/versions.js';
import type { DatasetId, FileId, Sha256, VersionId } from '../core/ids.js';
import { SqlContentDisposal } from '../storage/catalog/content-disposal.js';
import { Findings } from '../storage/verification/findings.js';
import {
  recountReferences,
  referencesBySchema,
} from '../storage/verification/reference-recount.js';
import { Branches } from './branches.js';
import { Compare } from './compare.js';
import { applied } from './graph/diff.js';
import type { Content } from './graph/overlay.js';
import { FastForwards } from './fast-forwards.js';
import { History } from './history.js';
import { Merges } from './merges.js';
import { readPosition } from './position.js';
import { Purges } from './purges.js';
import { Removals } from './removals.js';
import { RetentionPreviews } from './retention-preview.js';
import { Retention } from './retention.js';
import { Sweep } from './sweep.js';
import { SqlVersionReader } from './version-reader.js';

let database: TestDatabase;
let fixture: VersioningFixture;
let files: FileId[];
let branches: Branches;
let compare: Compare;
let merges: Merges;
let retention: Retention;
let previews: RetentionPreviews;
let sweep: Sweep;
let purges: Purges;
let reader: SqlVersionReader;

const never = new AbortController().signal;

beforeAll(async () => {
  database = await testDatabase();
  fixture = await VersioningFixture.on(await database.open());
  const { unitOfWork, storage, events, datasets, refs, tree, commits } = fixture;
  files = await fixture.files(...Array.from({ length: 12 }, (_, i) => `content ${i}`));
  branches = new Branches(datasets, events, refs);
  const history = new History();
  compare = new Compare(history, tree);
  const fastForwards = new FastForwards(storage, events, datasets, tree, fixture.checks);
  merges = new Merges(events, commits, compare, history, refs, fastForwards);
  const removals = new Removals(storage, storage, events);
  retention = new Retention(unitOfWork, { BRANCH_RETENTION: 0 }, removals);
  previews = new RetentionPreviews(retention);
  sweep = new Sweep(unitOfWork, storage, { REMOVAL_GRACE: 0 });
  purges = new Purges(storage, storage, new SqlContentDisposal(), events, removals);
  reader = new SqlVersionReader(refs, tree);
});

afterAll(async () => {
  await database.drop();
});

type Holdings = Map<string, FileId>;

/** A dataset, and what a plain model says that each of its versions holds. */
class Story {
  readonly holds = new Map<VersionId, Holdings>();
  readonly heads = new Map<string, VersionId>();
  /** Files that were purged, and the notices in their places. */
  readonly notices = new Map<FileId, FileId>();

  private constructor(readonly dataset: DatasetId) {}

  static async begin(): Promise<Story> {
    return new Story(await fixture.aDataset());
  }

  at(branch: string): Holdings {
    const head = this.heads.get(branch);
    return new Map(head === undefined ? [] : this.holds.get(head));
  }

  async commit(branch: string, operations: VersionOperation[], after: Holdings): Promise<void> {
    const version = await fixture.unitOfWork.run((tx) =>
      fixture.commits.commit(tx, {
        datasetId: this.dataset,
        branch,
        author: fixture.user,
        message: 'm',
        operations,
      }),
    );
    this.#note(branch, version, after);
  }

  /** Puts (a file's number) or removes (null) paths, as far as that changes anything. */
  async change(branch: string, changes: readonly (readonly [string, number | null])[]) {
    const after = this.at(branch);
    const operations: VersionOperation[] = [];
    for (const [path, file] of changes) {
      const fileId = file === null ? null : files[file]!;
      if (fileId === null) {
        if (after.delete(path)) operations.push({ op: 'remove', path });
      } else if (!this.notices.has(fileId)) {
        after.set(path, fileId);
        operations.push({ op: 'put', path, fileId });
      }
    }
    if (!sameHoldings(this.at(branch), after)) await this.commit(branch, operations, after);
  }

  async merge(from: string, into: string): Promise<void> {
    const outcome = await fixture.unitOfWork.run((tx) =>
      merges.merge(tx, {
        dataset: this.dataset,
        author: fixture.user,
        from,
        into,
        message: 'm',
        resolutions: { byPath: new Map(), others: 'theirs' },
      }),
    );
    if (outcome.kind === 'up-to-date' || !outcome.version) return;
    const after =
      outcome.kind === 'fast-forward' ? this.at(from) : await listed(outcome.version.id);
    this.#note(into, outcome.version, after);
  }

  #note(branch: string, version: VersionRecord, holds: Holdings): void {
    this.holds.set(version.id, holds);
    this.heads.set(branch, version.id);
  }

  async point(name: string, from: string, tag: boolean): Promise<void> {
    await fixture.unitOfWork.run((tx) => branches.create(tx, this.dataset, { name, from, tag }));
    if (!tag) this.heads.set(name, this.heads.get(from)!);
  }

  async retain(keepLast: number): Promise<number> {
    await fixture.unitOfWork.run((tx) =>
      retention.setRules(tx, this.dataset, fixture.user, rulesOf(keepLast)),
    );
    let removed = 0;
    for (;;) {
      const some = await retention.removeSome(this.dataset, null);
      if (some.length === 0) return removed;
      removed += some.length;
    }
  }

  /** Purges a file where the dataset has it. */
  async purge(file: FileId): Promise<void> {
    const referred = await referredTo(this.dataset);
    if (!referred.has(file)) return;
    const [{ sha256 }] = await fixture.dataSource.query<[{ sha256: Sha256 }]>(
      'SELECT content_hash AS sha256 FROM files WHERE id = $1',
      [file],
    );
    const { id } = await fixture.unitOfWork.run((tx) =>
      purges.purge(tx, this.dataset, fixture.user, { sha256, reason: 'r' }),
    );
    const [{ notice }] = await fixture.dataSource.query<[{ notice: FileId }]>(
      'SELECT notice_file_id AS notice FROM dataset_purges WHERE id = $1',
      [id],
    );
    this.notices.set(file, notice);
    for (const [version, holds] of this.holds) {
      const changed = [...holds].map(([path, held]): [string, FileId] => [
        path,
        held === file ? notice : held,
      ]);
      this.holds.set(version, new Map(changed));
    }
  }

  async kept(): Promise<Set<VersionId>> {
    const rows = await fixture.dataSource.query<{ id: VersionId }[]>(
      `SELECT id FROM dataset_versions WHERE dataset_id = $1 AND status = 'committed'`,
      [this.dataset],
    );
    return new Set(rows.map(({ id }) => id));
  }
}

const rulesOf = (keepLast: number) => ({
  keepLast,
  keepYoungerThan: null,
  keepYoungerThanMs: null,
});

const sameHoldings = (a: Holdings, b: Holdings): boolean =>
  a.size === b.size && [...a].every(([path, file]) => b.get(path) === file);

const sorted = (holdings: Iterable<[string, FileId]>) => [...holdings].sort();

async function listed(version: VersionId): Promise<Holdings> {
  return fixture.unitOfWork.read(async (tx) => {
    const items = await fixture.tree.list(tx, await readPosition(tx, version), { limit: 1000 });
    return new Map(
      items.flatMap((item) => (item.kind === 'entry' ? [[item.path, item.content.fileId]] : [])),
    );
  });
}

async function expectCountsRight(): Promise<void> {
  const queries = {
    query: <Row>(sql: string, parameters: readonly unknown[] = []) =>
      fixture.dataSource.query<Row[]>(sql, [...parameters]),
  };
  const findings = new Findings();
  const sources = await referencesBySchema(queries);
  await recountReferences(
    { ...queries, transaction: async () => undefined as never },
    sources,
    findings,
    never,
  );
  expect(findings.told).toEqual([]);
}

/** Files to which rows of a dataset's versions refer. */
async function referredTo(dataset: DatasetId): Promise<Set<FileId>> {
  const rows = await fixture.dataSource.query<{ id: FileId }[]>(
    `SELECT DISTINCT e.file_id AS id FROM dataset_version_files e
     JOIN dataset_versions v ON v.id = e.version_id WHERE v.dataset_id = $1 AND e.file_id IS NOT NULL`,
    [dataset],
  );
  return new Set(rows.map(({ id }) => id));
}

/** Everything that must be so after a sweep. */
async function expectOnlyKept(story: Story): Promise<void> {
  const kept = await story.kept();
  const needed = new Set<FileId>();
  for (const [id, holds] of story.holds) {
    if (!kept.has(id)) continue;
    expect(sorted(await listed(id))).toEqual(sorted(holds));
    const found = await fixture.unitOfWork.read(async (tx) =>
      fixture.tree.lookup(tx, await readPosition(tx, id), [...holds.keys(), 'nowhere']),
    );
    expect(sorted([...found].map(([path, { fileId }]) => [path, fileId]))).toEqual(sorted(holds));
    for (const file of holds.values()) needed.add(file);
  }
  const referred = await referredTo(story.dataset);
  for (const file of needed) expect(referred.has(file)).toBe(true);
  // A version's own rows count even where the next one has overwritten them: it is kept.
  for (const file of referred) expect(needed.has(file)).toBe(true);
  await expectCountsRight();
}

const PATHS = ['a', 'b', 'c/d', 'c/e', 'é', 'z'];

const step = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('change' as const),
      branch: fc.nat(),
      changes: fc.array(
        fc.tuple(fc.constantFrom(...PATHS), fc.option(fc.nat({ max: 11 }), { freq: 3 })),
        { minLength: 1, maxLength: 3 },
      ),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('branch' as const), from: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('tag' as const), from: fc.nat() }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('merge' as const), from: fc.nat(), into: fc.nat() }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('drop' as const), branch: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('purge' as const), file: fc.nat(11) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('detach' as const), branch: fc.nat() }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('retain' as const),
      keepLast: fc.integer({ min: 1, max: 3 }),
      sweep: fc.boolean(),
    }),
  },
);

describe('retention over random histories', () => {
  it('agrees with a model that keeps whole snapshots: what is kept is whole, and nothing else is held', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 30 }), async (steps) => {
        const story = await Story.begin();
        await story.change('main', [['a', 0]]);
        for (const [index, what] of steps.entries()) {
          const names = [...story.heads.keys()];
          const pick = (n: number): string => names[n % names.length]!;
          if (what.kind === 'change') await story.change(pick(what.branch), what.changes);
          else if (what.kind === 'branch') await story.point(`b${index}`, pick(what.from), false);
          else if (what.kind === 'tag') await story.point(`t${index}`, pick(what.from), true);
          else if (what.kind === 'merge') await story.merge(pick(what.from), pick(what.into));
          else if (what.kind === 'drop') {
            const name = pick(what.branch);
            if (name === 'main') continue;
            await fixture.unitOfWork.run((tx) =>
              branches.deleteBranch(tx, story.dataset, name, null),
            );
            story.heads.delete(name);
          } else if (what.kind === 'purge') {
            await story.purge(files[what.file]!);
          } else if (what.kind === 'detach') {
            const id = story.heads.get(pick(what.branch))!;
            await fixture.unitOfWork.run((tx) =>
              fixture.lineages.detach(tx, { id, dataset: story.dataset }),
            );
          } else {
            await story.retain(what.keepLast);
            if (!what.sweep) continue;
            await sweep.run(story.dataset, never);
            await expectOnlyKept(story);
          }
        }
        await story.retain(1);
        await sweep.run(story.dataset, never);
        await expectOnlyKept(story);
        await expectComparisonsRight(story);
      }),
      { numRuns: 60 },
    );
  });

  async function expectComparisonsRight(story: Story): Promise<void> {
    const kept = [...(await story.kept())];
    for (const from of kept) {
      for (const to of kept) {
        const content = (id: VersionId) =>
          new Map<string, Content>(
            [...story.holds.get(id)!].map(([path, fileId]) => [path, { fileId, metadata: null }]),
          );
        const found = await fixture.unitOfWork.read((tx) => compare.differences(tx, from, to));
        const after = applied(found, content(from));
        const shown = [...after].map(([path, { fileId }]): [string, FileId] => [path, fileId]);
        expect(sorted(shown)).toEqual(sorted(story.holds.get(to)!));
      }
    }
  }
});

describe('a preview', () => {
  it('tells beforehand exactly what a run takes away', async () => {
    const story = await Story.begin();
    const own = await fixture.files('only in one', 'only in two', 'in one and three');
    files.push(...own);
    const [one, two, three] = [files.length - 3, files.length - 2, files.length - 1];
    await story.change('main', [
      ['x', one],
      ['y', three],
    ]);
    await story.change('main', [['x', two]]);
    await story.change('main', [
      ['x', three],
      ['w', 1],
    ]);
    await story.change('main', [['v', 2]]);
    const preview = await fixture.unitOfWork.read((tx) =>
      previews.preview(tx, story.dataset, rulesOf(1)),
    );
    expect(preview.versions.map(({ versionNumber }) => versionNumber)).toEqual([1, 2, 3]);
    expect(preview.paths.map(({ versionNumber, path }) => [versionNumber, path])).toEqual([
      [1, 'x'],
      [2, 'x'],
    ]);
    expect(preview).toMatchObject({ versionCount: 3, pathCount: 2 });
    expect(await story.kept()).toHaveProperty('size', 4);
    expect(await story.retain(1)).toBe(3);
    const tally = await sweep.run(story.dataset, never);
    expect(tally).toMatchObject({ entries: 2, bytes: preview.bytes });
    await expectOnlyKept(story);
    files.length -= 3;
  });
});

describe('what other slices read of a history that was cut', () => {
  it('is against the nearest version that is left, and whole where there is none', async () => {
    const story = await Story.begin();
    await story.change('main', [
      ['a', 0],
      ['b', 1],
    ]);
    await story.point('v1', 'main', true);
    await story.change('main', [['a', 2]]);
    await story.change('main', [
      ['b', null],
      ['c', 3],
    ]);
    await story.change('main', [['a', 0]]);
    await story.change('main', [['d', 4]]);
    await story.retain(2);
    await sweep.run(story.dataset, never);
    const kept = await fixture.unitOfWork.read((tx) =>
      reader.list(tx, story.dataset, { limit: 10 }),
    );
    expect(kept.map(({ versionNumber }) => versionNumber)).toEqual([1, 4, 5]);
    const [first, cut, last] = kept;
    await fixture.unitOfWork.read(async (tx) => {
      expect((await reader.builtOn(tx, cut!.id))?.id).toBe(first!.id);
      expect((await reader.builtOn(tx, last!.id))?.id).toBe(cut!.id);
      const changed = [];
      for (let after: string | null = null; ;) {
        const page: { path: string; entry: unknown }[] = await reader.overlay(tx, cut!.id, {
          after,
          limit: 1,
        });
        changed.push(...page.map(({ path, entry }) => [path, entry !== null]));
        if (page.length < 1) break;
        after = page.at(-1)!.path;
      }
      expect(changed).toEqual([
        ['b', false],
        ['c', true],
      ]);
    });
    await fixture.dataSource.query(
      `DELETE FROM dataset_pointers WHERE dataset_id = $1 AND is_tag`,
      [story.dataset],
    );
    await story.retain(2);
    await sweep.run(story.dataset, never);
    await fixture.unitOfWork.read(async (tx) => {
      expect(await reader.builtOn(tx, cut!.id)).toBeNull();
      const whole = await reader.overlay(tx, cut!.id, { limit: 10 });
      expect(whole.map(({ path }) => path)).toEqual(['a', 'c']);
    });
  });
});
