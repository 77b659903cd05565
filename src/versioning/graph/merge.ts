import { sameContent, type Content } from './overlay.js';

/** A path that both sides changed differently, or that one changed and the other removed. */
export interface Conflict<C extends Content = Content> {
  readonly path: string;
  readonly base: C | null;
  readonly ours: C | null;
  readonly theirs: C | null;
}

/** How one path merges: nothing to do, take what they have, or a conflict. */
export type PathMerge = 'ours' | 'theirs' | 'conflict';

/**
 * Merges one path three ways: whoever changed it against the base wins; where both did the same,
 * ours is as good as theirs.
 */
export function mergePath(
  base: Content | null,
  ours: Content | null,
  theirs: Content | null,
): PathMerge {
  if (sameContent(ours, theirs) || sameContent(theirs, base)) return 'ours';
  return sameContent(ours, base) ? 'theirs' : 'conflict';
}

/** What stands at some paths; absent ones have nothing. */
export type Contents<C extends Content = Content> = ReadonlyMap<string, C>;

/** What a merge changes on our side, and where it cannot decide. */
export interface MergeResult<C extends Content = Content> {
  /** Paths that become what they are on their side; null where they are removed. */
  readonly changes: readonly (readonly [path: string, content: C | null])[];
  readonly conflicts: readonly Conflict<C>[];
}

/**
 * Merges paths three ways.
 * @param paths in order; every path in which ours and theirs may differ
 */
export function mergeContents<C extends Content>(
  paths: readonly string[],
  base: Contents<C>,
  ours: Contents<C>,
  theirs: Contents<C>,
): MergeResult<C> {
  const changes: [string, C | null][] = [];
  const conflicts: Conflict<C>[] = [];
  for (const path of paths) {
    const sides = {
      base: base.get(path) ?? null,
      ours: ours.get(path) ?? null,
      theirs: theirs.get(path) ?? null,
    };
    const merged = mergePath(sides.base, sides.ours, sides.theirs);
    if (merged === 'theirs') changes.push([path, sides.theirs]);
    else if (merged === 'conflict') conflicts.push({ path, ...sides });
  }
  return { changes, conflicts };
}
