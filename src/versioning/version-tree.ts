import { Inject, Injectable } from '@nestjs/common';
import { FILE_CATALOG, type FileCatalog } from '../core/contracts/file-catalog.js';
import type { Reader } from '../core/contracts/unit-of-work.js';
import type { VersionEntry } from '../core/contracts/versions.js';
import type { FileId } from '../core/ids.js';
import type { JsonObject } from '../core/json.js';
import { shareOfPage } from './graph/lineage.js';
import type { Content } from './graph/overlay.js';
import { afterPrefix, comparePaths, prefixEnd } from './graph/path.js';
import type { ReadPosition } from './position.js';
import { withPurges } from './purged-files.js';
import { entryOf } from './version-insert.js';
import {
  lookupStatement,
  sourcesOf,
  walkStatement,
  type Source,
  type WalkedRow,
  type WalkRange,
} from './tree-sql.js';

/** One line of a listing: a file, or what several files' names begin with. */
export type TreeItem =
  | { readonly kind: 'entry'; readonly path: string; readonly content: Content }
  | { readonly kind: 'prefix'; readonly path: string };

/** Which part of a version to list. */
export interface TreeRange {
  readonly prefix?: string;
  /** Names that go on after the prefix to this text fold into one item, as in an object store. */
  readonly delimiter?: string | null;
  /** Where to go on: after this item. */
  readonly after?: TreePlace | null;
  readonly limit: number;
}

export interface TreePlace {
  readonly path: string;
  readonly isPrefix: boolean;
}

/** How many names a walk reads at once when all it meets is removed. */
const LONGEST_WALK = 2000;

/** How many times as long as the last a walk may be where that found little. */
const MOST_GROWTH = 4;

/** How much more than seems to be needed a walk asks for. */
const MARGIN = 1.25;

/**
 * Reads what a version holds. A page costs what it shows, whatever the size of the version, the
 * depth of its history, or how often a path was rewritten.
 */
@Injectable()
export class VersionTree {
  constructor(@Inject(FILE_CATALOG) private readonly files: FileCatalog) {}

  /** The next items in path order, at most `limit`. Fewer means that there are no more. */
  async list(tx: Reader, position: ReadPosition, range: TreeRange): Promise<TreeItem[]> {
    const sources = sourcesOf(position);
    const { prefix = '', delimiter = null, limit } = range;
    const pastPrefix = afterPrefix('');
    const end = prefixEnd(prefix);
    let after = range.after ? pastItem(range.after, pastPrefix) : '';
    let wants = shareOfPage(sources, limit);
    const items: TreeItem[] = [];
    while (items.length < limit && sources.length > 0) {
      const walked = await this.#walk(tx, sources, wants, {
        after,
        prefix,
        end,
        delimiter,
        pastPrefix,
      });
      const before = items.length;
      for (const row of walked.rows) {
        const item = await this.#settle(tx, position, row);
        if (item) items.push(item);
        if (items.length === limit) return items;
      }
      if (!walked.frontier) break;
      after = pastItem(walked.frontier, pastPrefix);
      const growth = growthFor(limit - items.length, items.length - before);
      wants = wants.map((want, source) =>
        walked.exhausted.has(source) ? want : Math.min(LONGEST_WALK, Math.ceil(want * growth)),
      );
    }
    return items;
  }

  /** The next entries in path order, at most `limit`, with what is known of their files. */
  async entries(
    tx: Reader,
    position: ReadPosition,
    range: { prefix?: string; after?: string | null; limit: number },
  ): Promise<VersionEntry[]> {
    const after = range.after ? { path: range.after, isPrefix: false } : null;
    const items = await this.list(tx, position, { ...range, after });
    return this.describe(
      tx,
      items.flatMap((item) => (item.kind === 'entry' ? [item] : [])),
    );
  }

  /** What stands at each of the paths; absent ones are left out. */
  async lookup(
    tx: Reader,
    position: ReadPosition,
    paths: readonly string[],
  ): Promise<Map<string, Content>> {
    const sources = sourcesOf(position);
    if (sources.length === 0 || paths.length === 0) return new Map();
    const { sql, values } = lookupStatement(sources, paths);
    const rows = await tx.query<{
      name: string;
      fileId: FileId;
      metadata: JsonObject | null;
    }>(sql, values);
    return new Map(rows.map(({ name, fileId, metadata }) => [name, { fileId, metadata }]));
  }

  /** Adds to contents what is known of their files. */
  async describe(
    tx: Reader,
    contents: readonly { readonly path: string; readonly content: Content }[],
  ): Promise<VersionEntry[]> {
    const ids = [...new Set(contents.map(({ content }) => content.fileId))];
    const files =
      ids.length > 0
        ? await withPurges(tx, await this.files.find(tx, ids))
        : new Map<FileId, never>();
    return contents.map(({ path, content }) => {
      const file = files.get(content.fileId);
      if (!file) throw new Error(`Path ${JSON.stringify(path)} refers to a file without a row`);
      return entryOf(path, file, content.metadata);
    });
  }

  /**
   * Walks all sources once. What it gives is in order and complete up to the frontier: the last item
   * of the source that stopped first; null when every source came to its end.
   */
  async #walk(
    tx: Reader,
    sources: readonly Source[],
    wants: readonly number[],
    range: WalkRange,
  ): Promise<{ rows: WalkedRow[]; frontier: TreePlace | null; exhausted: Set<number> }> {
    const { sql, values } = walkStatement(sources, wants, range);
    const found = await tx.query<WalkedRow>(sql, values);
    const bySource = Map.groupBy(found, ({ source }) => source);
    const exhausted = new Set<number>();
    let frontier: TreePlace | null = null;
    sources.forEach((_, source) => {
      const rows = bySource.get(source) ?? [];
      const last = rows.reduce<WalkedRow | undefined>(
        (a, b) => (a && comparePaths(a.item, b.item) > 0 ? a : b),
        undefined,
      );
      if (!last || rows.length < (wants[source] ?? 1)) exhausted.add(source);
      else if (!frontier || comparePaths(last.item, frontier.path) < 0) {
        frontier = { path: last.item, isPrefix: last.isPrefix };
      }
    });
    const nearest = new Map<string, WalkedRow>();
    for (const row of found) {
      if (frontier && comparePaths(row.item, (frontier as TreePlace).path) > 0) continue;
      // A prefix counts for the nearest source that has it; a name for the nearest that knows it.
      const rival = nearest.get(row.item);
      if (!row.isPrefix && !row.known) continue;
      if (!rival || row.source < rival.source) nearest.set(row.item, row);
    }
    const rows = [...nearest.values()].sort((a, b) => comparePaths(a.item, b.item));
    return { rows, frontier, exhausted };
  }

  /** Makes an item of what was walked; null where nothing of it is left in the version. */
  async #settle(tx: Reader, position: ReadPosition, row: WalkedRow): Promise<TreeItem | null> {
    if (!row.isPrefix) {
      if (row.fileId === null) return null;
      const content: Content = {
        fileId: row.fileId as FileId,
        metadata: row.metadata as JsonObject | null,
      };
      return { kind: 'entry', path: row.item, content };
    }
    const prefix: TreeItem = { kind: 'prefix', path: row.item };
    // The nearest source that has anything under a prefix has the last word on the first name there.
    if (row.known && row.fileId !== null) return prefix;
    const left = await this.list(tx, position, { prefix: row.item, limit: 1 });
    return left.length > 0 ? prefix : null;
  }
}

/**
 * By how much the next walk is to be longer, or shorter, than one that has found so many items: what
 * is missing at that rate, and a little more, as one that falls short costs a round trip.
 */
function growthFor(missing: number, found: number): number {
  return Math.min(MOST_GROWTH, (MARGIN * missing) / Math.max(1, found));
}

function pastItem({ path, isPrefix }: TreePlace, pastPrefix: string): string {
  return isPrefix ? path + pastPrefix : path;
}
