import type { HistoryNode } from './merge-base.js';

/** A version as the rules of a dataset see it. */
export interface RetainableVersion extends HistoryNode {
  /** It is a tombstone already: part of the history, but nothing to be kept. */
  readonly removed: boolean;
  /** It is younger than the rules let go. */
  readonly young: boolean;
}

/** What names versions, and so keeps them. */
export interface Anchors {
  /** Heads of branches, and of deleted ones that may still be restored. */
  readonly heads: readonly number[];
  /** What tags and drafts need. */
  readonly others: readonly number[];
}

/**
 * The versions that a dataset's rules let go, the oldest first. Kept are: the last `keepLast` on each
 * branch's line of first parents, whatever a tag or a draft names, what is young, and the merge bases
 * of all that is named, without which a merge could no longer tell who changed what.
 * @param versions all of a dataset's, tombstones included, in any order
 */
export function versionsToRemove(
  versions: readonly RetainableVersion[],
  anchors: Anchors,
  keepLast: number,
): number[] {
  const newestFirst = [...versions].sort((a, b) => b.number - a.number);
  const kept = new Set<number>([...anchors.heads, ...anchors.others]);
  for (const id of lastOfLines(newestFirst, anchors.heads, keepLast)) kept.add(id);
  for (const id of forks(newestFirst, named(anchors))) kept.add(id);
  return newestFirst
    .filter(({ id, removed, young }) => !removed && !young && !kept.has(id))
    .map(({ id }) => id)
    .reverse();
}

function named({ heads, others }: Anchors): number[] {
  return [...new Set([...heads, ...others])];
}

/** How many more versions are to be kept below each one, passed on from child to first parent. */
function* lastOfLines(
  newestFirst: readonly RetainableVersion[],
  heads: readonly number[],
  keepLast: number,
): Generator<number> {
  const left = new Map(heads.map((id) => [id, keepLast]));
  for (const { id, parents } of newestFirst) {
    const count = left.get(id) ?? 0;
    if (count === 0) continue;
    yield id;
    const [first] = parents;
    if (first !== undefined) left.set(first, Math.max(left.get(first) ?? 0, count - 1));
  }
}

/**
 * Every version that can be a merge base of two of those named: two of its children lead to different
 * ones, neither to all that the other leads to. (Where one child leads wherever another does, it is
 * the better common ancestor.)
 */
function* forks(
  newestFirst: readonly RetainableVersion[],
  anchored: readonly number[],
): Generator<number> {
  const bits = new Map(anchored.map((id, index) => [id, 1n << BigInt(index)]));
  const children = new Map<number, Set<bigint>>();
  for (const { id, parents } of newestFirst) {
    const below = [...(children.get(id) ?? [])];
    children.delete(id);
    if (below.some((a) => below.some((b) => (a & ~b) !== 0n && (b & ~a) !== 0n))) yield id;
    const reaches = below.reduce((all, one) => all | one, bits.get(id) ?? 0n);
    if (reaches === 0n) continue;
    for (const parent of parents) {
      const known = children.get(parent);
      if (known) known.add(reaches);
      else children.set(parent, new Set([reaches]));
    }
  }
}
