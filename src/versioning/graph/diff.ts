import { sameContent, type Content } from './overlay.js';
import { comparePaths } from './path.js';

/** One difference between two versions, as it looks from the first to the second. */
export type Difference<C extends Content = Content> =
  | { readonly kind: 'added'; readonly path: string; readonly after: C }
  | { readonly kind: 'removed'; readonly path: string; readonly before: C }
  | { readonly kind: 'changed'; readonly path: string; readonly before: C; readonly after: C }
  | {
      readonly kind: 'moved';
      readonly path: string;
      readonly from: string;
      readonly before: C;
      readonly after: C;
    };

/**
 * What differs at some paths, in path order. The same content under the same path is never a
 * difference. A content that left one path and appeared at another is one move; of several equal
 * candidates the first in path order goes to the first.
 */
export function differences<C extends Content>(
  paths: Iterable<string>,
  before: ReadonlyMap<string, C>,
  after: ReadonlyMap<string, C>,
): Difference<C>[] {
  const found: Difference<C>[] = [];
  const left = new Map<number, { path: string; content: C }[]>();
  const appeared: { path: string; content: C }[] = [];
  for (const path of [...new Set(paths)].sort(comparePaths)) {
    const a = before.get(path) ?? null;
    const b = after.get(path) ?? null;
    if (sameContent(a, b)) continue;
    if (a && b) found.push({ kind: 'changed', path, before: a, after: b });
    else if (a) {
      const gone = left.get(a.fileId) ?? [];
      gone.push({ path, content: a });
      left.set(a.fileId, gone);
    } else if (b) appeared.push({ path, content: b });
  }
  for (const { path, content } of appeared) {
    const origin = left.get(content.fileId)?.shift();
    if (!origin) found.push({ kind: 'added', path, after: content });
    else {
      const { path: from, content: moved } = origin;
      found.push({ kind: 'moved', path, from, before: moved, after: content });
    }
  }
  for (const gone of left.values()) {
    for (const { path, content } of gone) found.push({ kind: 'removed', path, before: content });
  }
  return found.sort((x, y) => comparePaths(x.path, y.path));
}

/** Applies differences to a version's contents: `applied(differences(a, b), a)` is b. */
export function applied<C extends Content>(
  found: readonly Difference<C>[],
  before: ReadonlyMap<string, C>,
): Map<string, C> {
  const result = new Map(before);
  for (const difference of found) {
    if (difference.kind === 'moved') result.delete(difference.from);
    if (difference.kind === 'removed') result.delete(difference.path);
  }
  for (const difference of found) {
    if (difference.kind !== 'removed') result.set(difference.path, difference.after);
  }
  return result;
}
