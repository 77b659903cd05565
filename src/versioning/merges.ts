import { Inject, Injectable } from '@nestjs/common';
import { EVENT_BUS, type EventBus } from '../core/contracts/event-bus.js';
import type { Reader, Tx } from '../core/contracts/unit-of-work.js';
import { NothingChanged, type VersionRecord } from '../core/contracts/versions.js';
import type { DatasetId, UserId, VersionId } from '../core/ids.js';
import { Commits } from './commits.js';
import { Compare } from './compare.js';
import { FastForwards } from './fast-forwards.js';
import { mergeContents, type Conflict, type MergeResult } from './graph/merge.js';
import type { Change, Content } from './graph/overlay.js';
import { comparePaths } from './graph/path.js';
import { History } from './history.js';
import { lockBranch, releaseNumber, type LockedBranch } from './locked-branch.js';
import { Refs } from './refs.js';
import { removedAmong } from './removed-versions.js';
import { MergeConflicts } from './versioning.problems.js';

/** What a conflict is to become: one of its sides, or another content. */
export type Resolution = 'ours' | 'theirs' | { readonly content: Content | null };

export interface Resolutions {
  readonly byPath: ReadonlyMap<string, Resolution>;
  /** For the rest; null leaves them conflicts. */
  readonly others: 'ours' | 'theirs' | null;
}

export interface MergeRequest {
  readonly dataset: DatasetId;
  readonly author: UserId;
  /** A ref to the version that is merged. */
  readonly from: string;
  /** The branch that it is merged into. */
  readonly into: string;
  readonly message: string;
  readonly resolutions: Resolutions;
}

/** How a merge would go, or went. */
export interface MergeOutcome {
  readonly kind: 'up-to-date' | 'fast-forward' | 'merge';
  /** The branch's head afterwards; in a dry run, where that is no version yet, as it is. */
  readonly version: VersionRecord | null;
  readonly changes: readonly Change[];
  readonly conflicts: readonly Conflict[];
}

/** Merging, reverting and cherry-picking: three sides of one path at a time. */
@Injectable()
export class Merges {
  constructor(
    @Inject(EVENT_BUS) private readonly events: EventBus,
    private readonly commits: Commits,
    private readonly compare: Compare,
    private readonly history: History,
    private readonly refs: Refs,
    private readonly fastForwards: FastForwards,
  ) {}

  /** How a merge would go, without doing it. */
  async preview(
    tx: Reader,
    request: Pick<MergeRequest, 'dataset' | 'from' | 'into' | 'resolutions'>,
  ): Promise<MergeOutcome> {
    const theirs = await this.refs.resolve(tx, request.dataset, request.from);
    const ours = await this.refs.branchHead(tx, request.dataset, request.into);
    return this.#plan(tx, ours, theirs, request.resolutions);
  }

  /**
   * Merges a version into a branch: by moving the branch where it only lags behind, else as a version
   * with both parents.
   * @throws MergeConflicts, ChecksFailed, NotFound, NotABranch
   */
  async merge(tx: Tx, request: MergeRequest): Promise<MergeOutcome> {
    const { dataset, author, message, into } = request;
    const branch = await lockBranch(tx, dataset, into, { forMerge: true });
    const theirs = await this.refs.resolve(tx, dataset, request.from);
    const plan = await this.#plan(tx, branch.head, theirs, request.resolutions);
    if (plan.conflicts.length > 0) throw new MergeConflicts(plan.conflicts);
    if (plan.kind === 'up-to-date') {
      await releaseNumber(tx, branch);
      return plan;
    }
    let version = theirs;
    if (plan.kind === 'fast-forward') {
      await releaseNumber(tx, branch);
      await this.fastForwards.move(tx, branch, theirs, plan.changes);
    } else {
      version = await this.#record(tx, branch, plan.changes, {
        author,
        message,
        mergeParent: theirs,
      });
    }
    await this.events.publish(tx, 'dataset.merged', `dataset/${dataset}`, {
      datasetId: dataset,
      from: request.from,
      into,
      digest: version.digest,
      kind: plan.kind,
    });
    return { ...plan, version };
  }

  /**
   * Takes back what one version changed, on top of a branch.
   * @throws MergeConflicts, NothingChanged, NotFound
   */
  revert(tx: Tx, request: MergeRequest): Promise<VersionRecord> {
    return this.#replay(tx, request, (version, parent) => ({ base: version.id, theirs: parent }));
  }

  /**
   * Does again what one version changed, on top of a branch.
   * @throws MergeConflicts, NothingChanged, NotFound
   */
  cherryPick(tx: Tx, request: MergeRequest): Promise<VersionRecord> {
    return this.#replay(tx, request, (version, parent) => ({ base: parent, theirs: version.id }));
  }

  async #replay(
    tx: Tx,
    { dataset, author, from, into, message, resolutions }: MergeRequest,
    sidesOf: (
      version: VersionRecord,
      parent: VersionId | null,
    ) => { base: VersionId | null; theirs: VersionId | null },
  ): Promise<VersionRecord> {
    const branch = await lockBranch(tx, dataset, into);
    const version = await this.refs.resolve(tx, dataset, from);
    const sides = sidesOf(version, version.parentId);
    const rows = await tx.query<{ path: string }>(
      `SELECT component_name AS path FROM dataset_version_files WHERE version_id = $1 ORDER BY 1`,
      [version.id],
    );
    const paths = rows.map(({ path }) => path);
    const at = async (id: VersionId | null) =>
      id === null ? new Map<string, Content>() : this.compare.contents(tx, id, paths);
    const ours = await at(branch.head?.id ?? null);
    const merged = mergeContents(paths, await at(sides.base), ours, await at(sides.theirs));
    const { changes, conflicts } = resolve(merged, resolutions);
    if (conflicts.length > 0) throw new MergeConflicts(conflicts);
    if (changes.length === 0) throw new NothingChanged();
    return this.#record(tx, branch, changes, { author, message, mergeParent: null });
  }

  async #record(
    tx: Tx,
    branch: LockedBranch,
    changes: readonly Change[],
    version: { author: UserId; message: string; mergeParent: VersionRecord | null },
  ): Promise<VersionRecord> {
    const position = await this.commits.positionOf(tx, branch);
    const before = branch.head
      ? await this.compare.contents(
          tx,
          branch.head.id,
          changes.map(([path]) => path),
        )
      : new Map<string, Content>();
    const overlay = await this.commits.overlayOf(tx, branch, before, changes);
    return this.commits.record(tx, branch, { ...version, position }, overlay);
  }

  async #plan(
    tx: Reader,
    ours: VersionRecord | null,
    theirs: VersionRecord,
    resolutions: Resolutions,
  ): Promise<MergeOutcome> {
    const nothing = { version: ours, changes: [], conflicts: [] };
    if (ours === null) return { ...nothing, kind: 'fast-forward' };
    const bases = await this.history.mergeBases(tx, ours.id, theirs.id);
    if (bases.includes(theirs.id)) return { ...nothing, kind: 'up-to-date' };
    const paths = await this.compare.touchedPaths(tx, ours.id, theirs.id);
    const ourContents = await this.compare.contents(tx, ours.id, paths);
    const theirContents = await this.compare.contents(tx, theirs.id, paths);
    if (bases.includes(ours.id)) {
      const { changes } = mergeContents(paths, ourContents, ourContents, theirContents);
      return { ...nothing, kind: 'fast-forward', changes };
    }
    const base = await this.#baseContents(tx, bases, paths);
    const merged = mergeContents(paths, base, ourContents, theirContents);
    return { ...nothing, kind: 'merge', ...resolve(merged, resolutions) };
  }

  /**
   * What the merge bases hold. Several, after criss-cross merges, are merged into one first, as git's
   * recursive strategy does; where that conflicts the base is taken to be the content of neither, so
   * that a real difference shows up as a conflict instead of being decided by chance. So it is where
   * the base has been removed.
   */
  async #baseContents(
    tx: Reader,
    bases: readonly VersionId[],
    paths: readonly string[],
  ): Promise<ReadonlyMap<string, Content>> {
    const [first, ...others] = bases;
    if (first === undefined) return new Map();
    let merged = await this.#oneBase(tx, first, paths);
    for (const other of others) {
      const inner = await this.history.mergeBases(tx, first, other);
      const innerContents = await this.#baseContents(tx, inner, paths);
      const theirs = await this.#oneBase(tx, other, paths);
      const { changes, conflicts } = mergeContents(paths, innerContents, merged, theirs);
      const next = new Map(merged);
      for (const [path, content] of changes) {
        if (content) next.set(path, content);
        else next.delete(path);
      }
      for (const { path } of conflicts) next.set(path, NEITHER);
      merged = next;
    }
    return merged;
  }

  async #oneBase(
    tx: Reader,
    base: VersionId,
    paths: readonly string[],
  ): Promise<ReadonlyMap<string, Content>> {
    const removed = await removedAmong(tx, [base]);
    if (removed.has(base)) return new Map(paths.map((path) => [path, NEITHER]));
    return this.compare.contents(tx, base, paths);
  }
}

/** A content that no file has. */
const NEITHER = { fileId: 0, metadata: null } as unknown as Content;

/** Decides conflicts as the caller says. */
function resolve(
  { changes, conflicts }: MergeResult,
  { byPath, others }: Resolutions,
): { changes: Change[]; conflicts: Conflict[] } {
  const decided: Change[] = [...changes];
  const open: Conflict[] = [];
  for (const conflict of conflicts) {
    const resolution = byPath.get(conflict.path) ?? others;
    if (resolution === null || resolution === undefined) open.push(conflict);
    else if (resolution === 'theirs') decided.push([conflict.path, conflict.theirs]);
    else if (resolution !== 'ours') decided.push([conflict.path, resolution.content]);
  }
  return { changes: decided.sort(([a], [b]) => comparePaths(a, b)), conflicts: open };
}
