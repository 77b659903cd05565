import { comparePaths } from '../../src/versioning/graph/path.js';

/** What stands under which path: a path, and the number of a content. */
export type Snapshot = ReadonlyMap<string, number>;

/** A version as the model keeps it: whole. */
export interface ModelVersion {
  readonly number: number;
  readonly parents: readonly number[];
  readonly snapshot: Snapshot;
}

/** A content that no version has: what merge bases that disagree have in common. */
const NEITHER = -1;

/**
 * A history of whole snapshots, in which everything is done the plain way: what the real one, which
 * keeps only changes, has to agree with.
 */
export class SnapshotModel {
  readonly versions = new Map<number, ModelVersion>();
  readonly branches = new Map<string, number>();
  readonly tags = new Map<string, number>();

  version(number: number): ModelVersion {
    const version = this.versions.get(number);
    if (!version) throw new Error(`The model has no version ${number}`);
    return version;
  }

  snapshot(number: number): Snapshot {
    return this.version(number).snapshot;
  }

  head(branch: string): number {
    const head = this.branches.get(branch);
    if (head === undefined) throw new Error(`The model has no branch ${branch}`);
    return head;
  }

  add(version: ModelVersion, branch: string): void {
    this.versions.set(version.number, version);
    this.branches.set(branch, version.number);
  }

  /** A version and all that it descends from. */
  ancestors(number: number): Set<number> {
    const found = new Set([number]);
    for (const each of found) for (const parent of this.version(each).parents) found.add(parent);
    return found;
  }

  /** The best common ancestors, the newest first. */
  mergeBases(left: number, right: number): number[] {
    const rightward = this.ancestors(right);
    const common = [...this.ancestors(left)].filter((each) => rightward.has(each));
    return common
      .filter((each) => !common.some((other) => other !== each && this.ancestors(other).has(each)))
      .sort((a, b) => b - a);
  }

  /** What merge bases amount to, several of them merged first. */
  baseOf(bases: readonly number[]): Snapshot {
    const [first, ...others] = bases;
    if (first === undefined) return new Map();
    let base = new Map(this.snapshot(first));
    for (const other of others) {
      const inner = this.baseOf(this.mergeBases(first, other));
      const { merged, conflicts } = mergeSnapshots(inner, base, this.snapshot(other));
      base = new Map(merged);
      for (const path of conflicts) base.set(path, NEITHER);
    }
    return base;
  }

  /** Why a version cannot be deleted; nothing where it can. */
  needs(number: number): { children: number[]; pointers: string[] } {
    return {
      children: [...this.versions.values()]
        .filter(({ parents }) => parents.includes(number))
        .map((child) => child.number)
        .sort((a, b) => a - b),
      pointers: [...this.branches, ...this.tags]
        .filter(([, version]) => version === number)
        .map(([name]) => name)
        .sort(comparePaths),
    };
  }
}

/** Merges whole snapshots three ways; what conflicts stays as it is with us. */
export function mergeSnapshots(
  base: Snapshot,
  ours: Snapshot,
  theirs: Snapshot,
): { merged: Map<string, number>; conflicts: string[] } {
  const merged = new Map(ours);
  const conflicts: string[] = [];
  for (const path of new Set([...base.keys(), ...ours.keys(), ...theirs.keys()])) {
    const [b, o, t] = [base.get(path), ours.get(path), theirs.get(path)];
    if (o === t || t === b) continue;
    if (o !== b) conflicts.push(path);
    else setOrDelete(merged, path, t);
  }
  return { merged, conflicts: conflicts.sort(comparePaths) };
}

export function setOrDelete(
  snapshot: Map<string, number>,
  path: string,
  content: number | undefined,
): void {
  if (content === undefined) snapshot.delete(path);
  else snapshot.set(path, content);
}

export function sameSnapshot(a: Snapshot, b: Snapshot): boolean {
  return a.size === b.size && [...a].every(([path, content]) => b.get(path) === content);
}

/** What a listing of a snapshot has to be: paths with contents, and common prefixes with none. */
export function listed(
  snapshot: Snapshot,
  { prefix = '', delimiter }: { prefix?: string; delimiter?: string },
): [path: string, content: number | null][] {
  const items = new Map<string, number | null>();
  for (const [path, content] of snapshot) {
    if (!path.startsWith(prefix)) continue;
    const cut = delimiter === undefined ? -1 : path.indexOf(delimiter, prefix.length);
    if (cut < 0) items.set(path, content);
    else items.set(path.slice(0, cut + (delimiter ?? '').length), null);
  }
  return [...items].sort(([a], [b]) => comparePaths(a, b));
}

/** A generator of random numbers that repeats itself with its seed (mulberry32). */
export class Random {
  #state: number;

  constructor(readonly seed: number) {
    this.#state = seed >>> 0;
  }

  /** A whole number from 0 to below `limit`. */
  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * limit);
  }

  pick<T>(items: Iterable<T>): T {
    const all = [...items];
    if (all.length === 0) throw new Error('There is nothing to pick from');
    return all[this.below(all.length)] as T;
  }
}
