import canonicalize from 'canonicalize';
import type { FileId } from '../../core/ids.js';
import type { JsonObject } from '../../core/json.js';
import type { VersionOperation } from '../../core/contracts/versions.js';
import { PathExists, PathMissing } from '../../core/contracts/versions.js';
import { comparePaths } from './path.js';

/** What stands at a path. */
export interface Content {
  readonly fileId: FileId;
  readonly metadata: JsonObject | null;
}

/** What a version changes: the content put at a path, or null where it is removed. */
export type Change<C extends Content = Content> = readonly [path: string, content: C | null];

/** Whether two contents are the same; a file's identity is its bytes, so ids tell. */
export function sameContent(a: Content | null, b: Content | null): boolean {
  if (a === null || b === null) return a === b;
  return a.fileId === b.fileId && sameMetadata(a.metadata, b.metadata);
}

function sameMetadata(a: JsonObject | null, b: JsonObject | null): boolean {
  return a === b || (a !== null && b !== null && canonicalize(a) === canonicalize(b));
}

/** Every path that the operations read or write. */
export function touchedPaths(operations: readonly VersionOperation[]): string[] {
  const paths = new Set<string>();
  for (const operation of operations) {
    paths.add(operation.path);
    if (operation.op === 'move') paths.add(operation.from);
  }
  return [...paths];
}

/**
 * Applies operations one after the other and gives the overlay they amount to, in path order.
 * What ends up as it was at the parent is left out. A file may stand beside a "directory" of its
 * name (`a` and `a/b`), as in any object store.
 *
 * @param parent what stands at the touched paths before; absent paths have nothing
 * @throws PathMissing for removing or moving what is not there
 * @throws PathExists for moving onto another file
 */
export function applyOperations<C extends Content>(
  parent: ReadonlyMap<string, C>,
  operations: readonly VersionOperation[],
): Change<Content>[] {
  const state = new Map<string, Content | null>();
  const at = (path: string): Content | null => {
    const changed = state.get(path);
    return changed === undefined ? (parent.get(path) ?? null) : changed;
  };
  for (const operation of operations) {
    switch (operation.op) {
      case 'put':
        state.set(operation.path, {
          fileId: operation.fileId,
          metadata: operation.metadata ?? null,
        });
        break;
      case 'remove':
        if (!at(operation.path)) throw new PathMissing(operation.path);
        state.set(operation.path, null);
        break;
      case 'move': {
        const moved = at(operation.from);
        if (!moved) throw new PathMissing(operation.from);
        if (operation.from === operation.path) break;
        if (at(operation.path)) throw new PathExists(operation.path);
        state.set(operation.from, null);
        state.set(operation.path, moved);
        break;
      }
    }
  }
  return [...state]
    .filter(([path, content]) => !sameContent(content, parent.get(path) ?? null))
    .sort(([a], [b]) => comparePaths(a, b));
}

/** How many files and bytes a version has more (or fewer) than its parent. */
export interface TotalsDelta {
  readonly files: number;
  readonly sizeBytes: number;
}

/**
 * The difference that an overlay makes to a version's totals.
 * @param before the sizes of what stood at the changed paths
 * @param after the sizes of the files that are put
 */
export function totalsDelta(
  overlay: readonly Change[],
  before: (path: string) => number | null,
  after: (file: FileId) => number,
): TotalsDelta {
  let files = 0;
  let sizeBytes = 0;
  for (const [path, content] of overlay) {
    const old = before(path);
    if (old !== null) {
      files -= 1;
      sizeBytes -= old;
    }
    if (content) {
      files += 1;
      sizeBytes += after(content.fileId);
    }
  }
  return { files, sizeBytes };
}
