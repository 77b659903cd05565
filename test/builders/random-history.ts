import { expect } from '@jest/globals';
import { UNIT_OF_WORK, type Tx, type UnitOfWork } from '../../src/core/contracts/unit-of-work.js';
import {
  NothingChanged,
  RefMoved,
  type VersionOperation,
  type VersionRecord,
} from '../../src/core/contracts/versions.js';
import type { DatasetId, UserId, VersionId } from '../../src/core/ids.js';
import { Branches } from '../../src/versioning/branches.js';
import { Commits } from '../../src/versioning/commits.js';
import { Deletions } from '../../src/versioning/deletions.js';
import { DraftCommits } from '../../src/versioning/draft-commits.js';
import { Drafts } from '../../src/versioning/drafts.js';
import { Lineages } from '../../src/versioning/lineages.js';
import { Merges, type Resolution } from '../../src/versioning/merges.js';
import { MergeConflicts, VersionNeeded } from '../../src/versioning/versioning.problems.js';
import type { TestApp } from '../app.js';
import { RandomChanges, uploadContents } from './random-changes.js';
import {
  mergeSnapshots,
  sameSnapshot,
  setOrDelete,
  SnapshotModel,
  type Random,
  type Snapshot,
} from './snapshot-model.js';

/** Something that is done to the real history and to the model, and has to come out the same. */
type Step = (history: RandomHistory) => Promise<void>;

/** A dataset of a running server and the model beside it, to which the same random things happen. */
export class RandomHistory {
  readonly model = new SnapshotModel();
  readonly ids = new Map<number, VersionId>();
  readonly #commits: Commits;
  readonly #branches: Branches;
  readonly #drafts: Drafts;
  readonly #draftCommits: DraftCommits;
  readonly #merges: Merges;
  readonly #deletions: Deletions;
  readonly #lineages: Lineages;
  #names = 0;

  private constructor(
    readonly server: TestApp,
    readonly unitOfWork: UnitOfWork,
    readonly dataset: DatasetId,
    readonly changes: RandomChanges,
    readonly random: Random,
  ) {
    const of = <T>(type: abstract new (...args: never[]) => T): T =>
      server.app.get<T>(type, { strict: false });
    this.#commits = of(Commits);
    this.#branches = of(Branches);
    this.#drafts = of(Drafts);
    this.#draftCommits = of(DraftCommits);
    this.#merges = of(Merges);
    this.#deletions = of(Deletions);
    this.#lineages = of(Lineages);
  }

  static async begin(server: TestApp, random: Random): Promise<RandomHistory> {
    const changes = new RandomChanges(await uploadContents(server), random);
    const { data } = await server.admin.api.POST('/api/v1/datasets', {
      body: { name: `random ${random.seed}` },
    });
    const unitOfWork = server.app.get<UnitOfWork>(UNIT_OF_WORK, { strict: false });
    const dataset = data!.id as DatasetId;
    const history = new RandomHistory(server, unitOfWork, dataset, changes, random);
    const operations = Array.from({ length: 12 }, () => changes.aPut());
    await history.#commit('main', operations, new Map(), []);
    return history;
  }

  /** Does one random thing. */
  async step(): Promise<void> {
    const steps: readonly (readonly [weight: number, Step])[] = [
      [30, () => this.#commitSomething()],
      [12, () => this.#draft()],
      [16, () => this.#merge()],
      [6, () => this.#replay('revert')],
      [6, () => this.#replay('cherryPick')],
      [6, () => this.#branch()],
      [3, () => this.#moveBranch()],
      [2, () => this.#deleteBranch()],
      [3, () => this.#tag()],
      [4, () => this.#delete()],
      [2, () => this.#detach()],
    ];
    let left = this.random.below(steps.reduce((sum, [weight]) => sum + weight, 0));
    for (const [weight, step] of steps) {
      left -= weight;
      if (left < 0) return step(this);
    }
  }

  idOf(number: number): VersionId {
    return this.ids.get(number) as VersionId;
  }

  get #author(): UserId {
    return this.server.admin.id as UserId;
  }

  #run<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    return this.unitOfWork.run(work);
  }

  #aBranch(): string {
    return this.random.pick(this.model.branches.keys());
  }

  #record(version: VersionRecord, branch: string, parents: number[], snapshot: Snapshot): void {
    const number = version.versionNumber;
    this.ids.set(number, version.id);
    this.model.add({ number, parents, snapshot }, branch);
  }

  async #commitSomething(): Promise<void> {
    const branch = this.#aBranch();
    const head = this.model.head(branch);
    const before = this.model.snapshot(head);
    const { operations } = this.changes.on(before, this.random.below(8) === 0 ? 40 : 6);
    if (operations.length > 0) await this.#commit(branch, operations, before, [head]);
  }

  async #commit(
    branch: string,
    operations: readonly VersionOperation[],
    before: Snapshot,
    parents: number[],
  ): Promise<void> {
    const after = this.changes.applied(operations, before);
    const committing = this.#run((tx) =>
      this.#commits.commit(tx, {
        datasetId: this.dataset,
        branch,
        author: this.#author,
        message: `on ${branch}`,
        operations,
      }),
    );
    if (sameSnapshot(before, after)) await expect(committing).rejects.toThrow(NothingChanged);
    else this.#record(await committing, branch, parents, after);
  }

  /** A draft that several requests change, while its branch may move on. */
  async #draft(): Promise<void> {
    const branch = this.#aBranch();
    const parent = this.model.head(branch);
    const base = this.model.snapshot(parent);
    const draft = await this.#run((tx) =>
      this.#drafts.open(tx, this.dataset, this.#author, { from: branch, branch: null }),
    );
    let theirs = base;
    for (let i = this.random.below(3); i >= 0; i--) {
      const { operations, after } = this.changes.on(theirs, 5);
      if (operations.length === 0) continue;
      await this.#run(async (tx) => {
        const locked = await this.#drafts.lock(tx, this.dataset, draft.id);
        await this.#drafts.apply(tx, locked, operations);
      });
      theirs = after;
    }
    if (this.random.below(2) === 0) await this.#commitOn(branch);
    const head = this.model.head(branch);
    const { merged, conflicts } = mergeSnapshots(base, this.model.snapshot(head), theirs);
    const commit = (rebase: boolean) =>
      this.#run((tx) =>
        this.#draftCommits.commit(tx, this.dataset, draft.id, {
          author: this.#author,
          message: 'a draft',
          rebase,
        }),
      );
    if (head !== parent) await expect(commit(false)).rejects.toThrow(RefMoved);
    if (conflicts.length > 0) await expect(commit(true)).rejects.toThrow(MergeConflicts);
    else if (sameSnapshot(merged, this.model.snapshot(head))) {
      await expect(commit(true)).rejects.toThrow(NothingChanged);
    } else return this.#record(await commit(head !== parent), branch, [head], merged);
    await this.#run(async (tx) => {
      await this.#drafts.discard(tx, await this.#drafts.lock(tx, this.dataset, draft.id));
    });
  }

  async #commitOn(branch: string): Promise<void> {
    const head = this.model.head(branch);
    const before = this.model.snapshot(head);
    const { operations } = this.changes.on(before, 4);
    if (operations.length > 0) await this.#commit(branch, operations, before, [head]);
  }

  async #merge(): Promise<void> {
    const [from, into] = [this.#aBranch(), this.#aBranch()];
    const [theirs, ours] = [this.model.head(from), this.model.head(into)];
    const bases = this.model.mergeBases(ours, theirs);
    const merge = (resolutions = { byPath: new Map<string, Resolution>() }) =>
      this.#run((tx) =>
        this.#merges.merge(tx, {
          dataset: this.dataset,
          author: this.#author,
          from,
          into,
          message: `${from} into ${into}`,
          resolutions: { ...resolutions, others: null },
        }),
      );
    if (bases.includes(theirs)) {
      return void expect(await merge()).toMatchObject({ kind: 'up-to-date' });
    }
    if (bases.includes(ours)) {
      expect(await merge()).toMatchObject({ kind: 'fast-forward' });
      return void this.model.branches.set(into, theirs);
    }
    const [mine, other] = [this.model.snapshot(ours), this.model.snapshot(theirs)];
    const { merged, conflicts } = mergeSnapshots(this.model.baseOf(bases), mine, other);
    if (conflicts.length > 0) expect(await conflictsOf(merge())).toEqual(conflicts);
    const byPath = new Map<string, Resolution>();
    for (const path of conflicts) byPath.set(path, this.#resolve(path, merged, other));
    const { version, kind } = await merge({ byPath });
    expect(kind).toBe('merge');
    this.#record(version!, into, [ours, theirs], merged);
  }

  /** Decides a conflict at random, also in the snapshot that it is a conflict of. */
  #resolve(path: string, merged: Map<string, number>, theirs: Snapshot): Resolution {
    const content = this.changes.aContent();
    switch (this.random.below(4)) {
      case 0:
        return 'ours';
      case 1:
        setOrDelete(merged, path, theirs.get(path));
        return 'theirs';
      case 2:
        merged.delete(path);
        return { content: null };
      default:
        merged.set(path, content);
        return { content: this.changes.content(content) };
    }
  }

  async #replay(how: 'revert' | 'cherryPick'): Promise<void> {
    const into = this.#aBranch();
    const { number, parents, snapshot } = this.random.pick(this.model.versions.values());
    const [parent] = parents;
    const before = parent === undefined ? new Map<string, number>() : this.model.snapshot(parent);
    const [base, theirs] = how === 'revert' ? [snapshot, before] : [before, snapshot];
    const head = this.model.head(into);
    const ours = this.model.snapshot(head);
    const { merged, conflicts } = mergeSnapshots(base, ours, theirs);
    const replay = (others: 'theirs' | null) =>
      this.#run((tx) =>
        this.#merges[how](tx, {
          dataset: this.dataset,
          author: this.#author,
          from: String(number),
          into,
          message: `${how} ${number}`,
          resolutions: { byPath: new Map(), others },
        }),
      );
    if (conflicts.length > 0) expect(await conflictsOf(replay(null))).toEqual(conflicts);
    for (const path of conflicts) setOrDelete(merged, path, theirs.get(path));
    if (sameSnapshot(merged, ours)) await expect(replay('theirs')).rejects.toThrow(NothingChanged);
    else this.#record(await replay('theirs'), into, [head], merged);
  }

  async #branch(): Promise<void> {
    if (this.model.branches.size > 12) return;
    const from = this.random.pick(this.model.versions.keys());
    const name = `b/${(this.#names += 1)}`;
    await this.#run((tx) =>
      this.#branches.create(tx, this.dataset, { name, from: String(from), tag: false }),
    );
    this.model.branches.set(name, from);
  }

  async #moveBranch(): Promise<void> {
    const branch = this.#aBranch();
    const to = this.random.pick(this.model.ancestors(this.model.head(branch)));
    await this.#run((tx) =>
      this.#branches.change(tx, this.dataset, branch, { to: String(to) }, null),
    );
    this.model.branches.set(branch, to);
  }

  async #deleteBranch(): Promise<void> {
    const branch = this.#aBranch();
    if (branch === 'main') return;
    await this.#run((tx) => this.#branches.deleteBranch(tx, this.dataset, branch, null));
    this.model.branches.delete(branch);
  }

  async #tag(): Promise<void> {
    const from = this.random.pick(this.model.versions.keys());
    const name = `t${(this.#names += 1)}`;
    await this.#run((tx) =>
      this.#branches.create(tx, this.dataset, { name, from: String(from), tag: true }),
    );
    this.model.tags.set(name, from);
  }

  async #delete(): Promise<void> {
    const childless = [...this.model.versions.keys()].filter(
      (each) => this.model.needs(each).children.length === 0,
    );
    const number = this.random.pick(
      this.random.below(2) === 0 ? childless : this.model.versions.keys(),
    );
    const needs = this.model.needs(number);
    const deleting = this.#run((tx) =>
      this.#deletions.delete(tx, this.dataset, String(number), this.#author),
    );
    if (needs.children.length + needs.pointers.length === 0) {
      await deleting;
      this.model.versions.delete(number);
    } else {
      const error: unknown = await deleting.catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(VersionNeeded);
      expect((error as VersionNeeded).members).toMatchObject(needs);
    }
  }

  /** Has a version read from a place of its own, as happens where reading it has become slow. */
  async #detach(): Promise<void> {
    const id = this.idOf(this.model.head(this.#aBranch()));
    await this.#run((tx) => this.#lineages.detach(tx, { id, dataset: this.dataset }));
  }
}

/** The paths that a merge names as conflicts. */
async function conflictsOf(merging: Promise<unknown>): Promise<string[]> {
  const error: unknown = await merging.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(MergeConflicts);
  const { conflicts } = (error as MergeConflicts).members as { conflicts: { path: string }[] };
  return conflicts.map(({ path }) => path);
}
