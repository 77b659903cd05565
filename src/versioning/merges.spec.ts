import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { VersioningFixture } from '../../test/builders/versioning.js';
import { testDatabase, type TestDatabase } from '../../test/database/test-database.js';
import {
  NothingChanged,
  type VersionOperation,
  type VersionRecord,
} from '../core/contracts/versions.js';
import type { DatasetId, FileId } from '../core/ids.js';
import { Compare } from './compare.js';
import { FastForwards } from './fast-forwards.js';
import { applied } from './graph/diff.js';
import type { Content } from './graph/overlay.js';
import { History } from './history.js';
import { Merges, type Resolutions } from './merges.js';
import { readPosition } from './position.js';
import { MergeConflicts } from './versioning.problems.js';

let database: TestDatabase;
let fixture: VersioningFixture;
let merges: Merges;
let compare: Compare;
let files: FileId[];

beforeAll(async () => {
  database = await testDatabase();
  fixture = await VersioningFixture.on(await database.open());
  const history = new History();
  compare = new Compare(history, fixture.tree);
  const { storage, events, datasets, tree: versionTree, checks } = fixture;
  const fastForwards = new FastForwards(storage, events, datasets, versionTree, checks);
  merges = new Merges(events, fixture.commits, compare, history, fixture.refs, fastForwards);
  files = await fixture.files('0', '1', '2', '3', '4', '5');
});

afterAll(async () => {
  await database.drop();
});

type Tree = Map<string, FileId>;
const NONE: Resolutions = { byPath: new Map(), others: null };

const put = (path: string, file: number): VersionOperation => ({
  op: 'put',
  path,
  fileId: files[file]!,
});
const remove = (path: string): VersionOperation => ({ op: 'remove', path });

const commit = (dataset: DatasetId, branch: string, ...operations: VersionOperation[]) =>
  fixture.unitOfWork.run((tx) =>
    fixture.commits.commit(tx, {
      datasetId: dataset,
      branch,
      author: fixture.user,
      message: '',
      operations,
    }),
  );

const merge = (dataset: DatasetId, from: string, into: string, resolutions = NONE) =>
  fixture.unitOfWork.run((tx) =>
    merges.merge(tx, { dataset, author: fixture.user, from, into, message: 'm', resolutions }),
  );

async function branch(dataset: DatasetId, name: string, from: VersionRecord): Promise<void> {
  await fixture.dataSource.query(
    `INSERT INTO dataset_pointers (dataset_id, pointer_name, dataset_version_id, is_tag)
     VALUES ($1, $2, $3, FALSE)`,
    [dataset, name, from.id],
  );
}

async function tree(version: VersionRecord): Promise<Tree> {
  const entries = await fixture.unitOfWork.read(async (tx) =>
    fixture.tree.entries(tx, await readPosition(tx, version.id), { limit: 1000 }),
  );
  return new Map(entries.map(({ path, fileId }) => [path, fileId]));
}

const shown = (of: Tree) =>
  Object.fromEntries([...of].map(([path, id]) => [path, files.indexOf(id)]));
const head = (dataset: DatasetId, ref: string) =>
  fixture.unitOfWork.read((tx) => fixture.refs.resolve(tx, dataset, ref));

describe('merging', () => {
  it('moves a branch that only lags behind, and leaves one alone that is ahead', async () => {
    const dataset = await fixture.aDataset();
    const base = await commit(dataset, 'main', put('a', 0));
    await branch(dataset, 'work', base);
    const ahead = await commit(dataset, 'work', put('b', 1));
    expect(await merge(dataset, 'main', 'work')).toMatchObject({ kind: 'up-to-date' });
    expect(await merge(dataset, 'work', 'main')).toMatchObject({
      kind: 'fast-forward',
      version: { id: ahead.id },
    });
    expect(await head(dataset, 'main')).toEqual(ahead);
    const [row] = await fixture.dataSource.query<{ last: number }[]>(
      'SELECT last_version_number AS last FROM datasets WHERE id = $1',
      [dataset],
    );
    expect(row!.last).toBe(2);
  });

  it('merges by path, with both parents, and names every conflict without changing anything', async () => {
    const dataset = await fixture.aDataset();
    const base = await commit(dataset, 'main', put('a', 0), put('b', 0), put('c', 0), put('d', 0));
    await branch(dataset, 'work', base);
    const theirs = await commit(
      dataset,
      'work',
      put('a', 1),
      put('b', 1),
      remove('c'),
      put('e', 1),
    );
    const ours = await commit(dataset, 'main', put('a', 1), put('b', 2), put('c', 2), remove('d'));
    const before = await head(dataset, 'main');
    const failed = await merge(dataset, 'work', 'main').catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(MergeConflicts);
    expect((failed as MergeConflicts).members).toEqual({
      conflicts: [
        { path: 'b', base: files[0], ours: files[2], theirs: files[1] },
        { path: 'c', base: files[0], ours: files[2], theirs: null },
      ],
    });
    expect(await head(dataset, 'main')).toEqual(before);
    const preview = await fixture.unitOfWork.read((tx) =>
      merges.preview(tx, { dataset, from: 'work', into: 'main', resolutions: NONE }),
    );
    expect(preview).toMatchObject({ kind: 'merge', conflicts: [{ path: 'b' }, { path: 'c' }] });
    expect(preview.changes.map(([path]) => path)).toEqual(['e']);

    const done = await merge(dataset, 'work', 'main', {
      byPath: new Map([['b', { content: { fileId: files[5]!, metadata: null } }]]),
      others: 'theirs',
    });
    expect(done.version).toMatchObject({ parentId: ours.id, mergeParentId: theirs.id });
    expect(shown(await tree(done.version!))).toEqual({ a: 1, b: 5, e: 1 });
    expect(await merge(dataset, 'work', 'main')).toMatchObject({ kind: 'up-to-date' });
    expect(fixture.events.published.at(-1)).toMatchObject({
      type: 'dataset.merged',
      data: { from: 'work', into: 'main', kind: 'merge', digest: done.version!.digest },
    });
  });

  it('merges after a criss-cross without deciding by chance', async () => {
    const dataset = await fixture.aDataset();
    const base = await commit(dataset, 'main', put('x', 0), put('y', 0));
    await branch(dataset, 'other', base);
    const mine = await commit(dataset, 'main', put('x', 1));
    await commit(dataset, 'other', put('y', 2));
    await branch(dataset, 'kept', mine);
    await merge(dataset, 'other', 'main');
    await merge(dataset, 'kept', 'other');
    await commit(dataset, 'main', put('x', 3));
    await commit(dataset, 'other', put('y', 4));
    const { version } = await merge(dataset, 'other', 'main');
    expect(shown(await tree(version!))).toEqual({ x: 3, y: 4 });
  });

  it('reverts and picks single versions, with the same report of conflicts', async () => {
    const dataset = await fixture.aDataset();
    await commit(dataset, 'main', put('a', 0), put('b', 0));
    const change = await commit(dataset, 'main', put('a', 1), remove('b'), put('c', 1));
    await commit(dataset, 'main', put('d', 2));
    const request = (from: string, into = 'main') => ({
      dataset,
      author: fixture.user,
      from,
      into,
      message: 'm',
      resolutions: NONE,
    });
    const reverted = await fixture.unitOfWork.run((tx) => merges.revert(tx, request('2')));
    expect(shown(await tree(reverted))).toEqual({ a: 0, b: 0, d: 2 });
    const picked = await fixture.unitOfWork.run((tx) => merges.cherryPick(tx, request('2')));
    expect(shown(await tree(picked))).toEqual({ a: 1, c: 1, d: 2 });
    await expect(
      fixture.unitOfWork.run((tx) => merges.cherryPick(tx, request(change.digest))),
    ).rejects.toThrow(NothingChanged);
    await commit(dataset, 'main', put('a', 5));
    await expect(fixture.unitOfWork.run((tx) => merges.revert(tx, request('2')))).rejects.toThrow(
      MergeConflicts,
    );
    const first = await fixture.unitOfWork.run((tx) =>
      merges.revert(tx, { ...request('1'), resolutions: { byPath: new Map(), others: 'theirs' } }),
    );
    expect(shown(await tree(first))).toEqual({ c: 1, d: 2 });
  });
});

describe('a random history', () => {
  it('agrees with a plain model that keeps whole snapshots', async () => {
    const name = fc.constantFrom('a', 'b', 'c', 'd', 'e');
    const step = fc.record({
      kind: fc.constantFrom('commit', 'commit', 'branch', 'merge', 'detach'),
      on: fc.nat(),
      with: fc.nat(),
      changes: fc.dictionary(name, fc.option(fc.nat({ max: 5 })), { minKeys: 1, maxKeys: 3 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
        const dataset = await fixture.aDataset();
        const first = await commit(dataset, 'main', put('a', 0), put('b', 1));
        const heads = new Map<string, VersionRecord>([['main', first]]);
        const snapshots = new Map<VersionRecord, Tree>([
          [
            first,
            new Map([
              ['a', files[0]!],
              ['b', files[1]!],
            ]),
          ],
        ]);
        const snapshotOf = (version: VersionRecord): Tree =>
          [...snapshots].find(([each]) => each.id === version.id)![1];
        for (const { kind, on, with: other, changes } of steps) {
          const names = [...heads.keys()];
          const here = names[on % names.length]!;
          const there = names[other % names.length]!;
          const at = heads.get(here)!;
          if (kind === 'branch') {
            await branch(dataset, `b${names.length}`, at);
            heads.set(`b${names.length}`, at);
          } else if (kind === 'detach') {
            await fixture.unitOfWork.run((tx) =>
              fixture.lineages.detach(tx, { id: at.id, dataset }),
            );
          } else if (kind === 'commit') {
            const model = new Map(snapshotOf(at));
            const operations: VersionOperation[] = [];
            for (const [path, file] of Object.entries(changes)) {
              if (file === null) {
                if (model.delete(path)) operations.push(remove(path));
              } else {
                model.set(path, files[file]!);
                operations.push(put(path, file));
              }
            }
            if (JSON.stringify([...model].sort()) === JSON.stringify([...snapshotOf(at)].sort())) {
              continue;
            }
            const version = await commit(dataset, here, ...operations);
            heads.set(here, version);
            snapshots.set(version, model);
          } else {
            const outcome = await merge(dataset, there, here, {
              byPath: new Map(),
              others: 'theirs',
            });
            const theirs = heads.get(there)!;
            if (outcome.kind === 'fast-forward') heads.set(here, theirs);
            if (outcome.kind === 'merge') {
              const version = outcome.version!;
              heads.set(here, version);
              // Whatever both agree on stays, and no content comes from nowhere.
              const [a, b] = [snapshotOf(at), snapshotOf(theirs)];
              const result = await tree(version);
              for (const path of 'abcde') {
                const sides = [a.get(path), b.get(path)];
                expect(sides).toContain(result.get(path));
              }
              snapshots.set(version, result);
            }
          }
        }
        for (const [version, model] of snapshots) {
          expect(shown(await tree(version))).toEqual(shown(model));
          expect(version.fileCount).toBe(model.size);
        }
        const [one, two] = [...snapshots.keys()].slice(-2);
        if (one && two) {
          const found = await fixture.unitOfWork.read((tx) =>
            compare.differences(tx, one.id, two.id),
          );
          const contents = new Map(
            [...snapshotOf(one)].map(([path, fileId]): [string, Content] => [
              path,
              { fileId, metadata: null },
            ]),
          );
          const result = [...applied(found, contents)].map(
            ([path, c]) => [path, c.fileId] as const,
          );
          expect(shown(new Map(result))).toEqual(shown(snapshotOf(two)));
        }
      }),
      { numRuns: 15 },
    );
  });
});
