import type { FileEntry } from './api.js';

/** How one version differs from another at a path. */
export type Change =
  | { readonly kind: 'added' | 'removed'; readonly path: string; readonly file: FileEntry }
  | {
      readonly kind: 'changed';
      readonly path: string;
      readonly before: FileEntry;
      readonly file: FileEntry;
    }
  | {
      readonly kind: 'renamed';
      readonly path: string;
      readonly from: string;
      readonly file: FileEntry;
    };

/** Compares two versions by their files: content that left one path and came to another was renamed. */
export function changesBetween(
  before: readonly FileEntry[],
  after: readonly FileEntry[],
): Change[] {
  const old = new Map(before.map((file) => [file.path, file]));
  const present = new Set(after.map(({ path }) => path));
  const left = before.filter(({ path }) => !present.has(path));
  const changes: Change[] = [];
  for (const file of after) {
    const { path, sha256 } = file;
    const was = old.get(path);
    if (was?.sha256 === sha256) continue;
    const source = was ? -1 : left.findIndex((gone) => gone.sha256 === sha256);
    const [from] = source < 0 ? [] : left.splice(source, 1);
    if (was) changes.push({ kind: 'changed', path, before: was, file });
    else if (from) changes.push({ kind: 'renamed', path, from: from.path, file });
    else changes.push({ kind: 'added', path, file });
  }
  return [...changes, ...left.map((file) => ({ kind: 'removed' as const, path: file.path, file }))];
}
