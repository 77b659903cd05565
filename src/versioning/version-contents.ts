import { Inject, Injectable } from '@nestjs/common';
import { FILE_CATALOG, type FileCatalog } from '../core/contracts/file-catalog.js';
import { UNIT_OF_WORK, type UnitOfWork } from '../core/contracts/unit-of-work.js';
import {
  ContentPurged,
  type VersionEntry,
  type VersionRecord,
} from '../core/contracts/versions.js';
import type { DatasetId, VersionId } from '../core/ids.js';
import { NotFound } from '../core/problems.js';
import type { ArchiveEntry } from './archive/archive-entry.js';
import { LeftOut } from './archive/left-out.js';
import { readPosition } from './position.js';
import { Refs, type Readable } from './refs.js';
import { VersionTree, type TreeItem, type TreePlace } from './version-tree.js';

/** How many entries of an archive are looked up at once. */
const ARCHIVE_PAGE = 1000;

/** A line of a listing, with what is known of its file. */
export type ListedItem =
  | { readonly kind: 'entry'; readonly entry: VersionEntry }
  | { readonly kind: 'prefix'; readonly prefix: string };

/** Part of a listing. */
export interface ListedPage {
  readonly items: readonly ListedItem[];
  /** What the next page begins after; null at the end. */
  readonly next: TreePlace | null;
}

/** What refs hold, for whoever may read the dataset. */
@Injectable()
export class VersionContents {
  constructor(
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
    @Inject(FILE_CATALOG) private readonly files: FileCatalog,
    private readonly refs: Refs,
    private readonly tree: VersionTree,
  ) {}

  /** @throws NotFound */
  version(dataset: DatasetId, ref: string): Promise<VersionRecord> {
    return this.unitOfWork.read((tx) => this.refs.resolve(tx, dataset, ref));
  }

  /** What a ref names, be it a draft. @throws NotFound */
  locate(dataset: DatasetId, ref: string): Promise<Readable> {
    return this.unitOfWork.read((tx) => this.refs.locate(tx, dataset, ref));
  }

  /** One page of a version's files and common prefixes. */
  list(
    version: VersionId,
    range: { prefix?: string; delimiter?: string; after: TreePlace | null; limit: number },
  ): Promise<ListedPage> {
    return this.unitOfWork.read(async (tx) => {
      const position = await readPosition(tx, version);
      const found = await this.tree.list(tx, position, { ...range, limit: range.limit + 1 });
      const shown = found.slice(0, range.limit);
      const described = await this.tree.describe(
        tx,
        shown.flatMap((item) => (item.kind === 'entry' ? [item] : [])),
      );
      const entries = new Map(described.map((entry) => [entry.path, entry]));
      const last = shown.at(-1);
      return {
        items: shown.map((item) => listed(item, entries)),
        next:
          last && found.length > range.limit
            ? { path: last.path, isPrefix: last.kind === 'prefix' }
            : null,
      };
    });
  }

  /**
   * The entry at a path of what a ref names.
   * @throws ContentPurged, NotFound
   */
  entry(dataset: DatasetId, ref: string, path: string): Promise<VersionEntry> {
    return this.unitOfWork.read(async (tx) => {
      const { id } = await this.refs.locate(tx, dataset, ref);
      const position = await readPosition(tx, id);
      const content = (await this.tree.lookup(tx, position, [path])).get(path);
      if (!content) throw new NotFound(`${JSON.stringify(path)} in ${JSON.stringify(ref)}`);
      const [entry] = await this.tree.describe(tx, [{ path, content }]);
      if (entry?.purged) throw new ContentPurged(entry);
      return entry as VersionEntry;
    });
  }

  /**
   * A version's files in path order, for an archive: read page by page, so that a slow reader keeps
   * neither a connection nor memory. What was purged is left out; a last file says so.
   * @throws when not every file of a version is found: an archive must never end well without being
   *   whole. A draft may change meanwhile, so nobody can say what would be all of it.
   */
  async *archiveEntries(source: Readable, prefix: string): AsyncGenerator<ArchiveEntry> {
    const left = new LeftOut();
    let after: string | null = null;
    let count = 0;
    for (;;) {
      const from: string | null = after;
      const page: VersionEntry[] = await this.unitOfWork.read(async (tx) =>
        this.tree.entries(tx, await readPosition(tx, source.id), {
          prefix,
          after: from,
          limit: ARCHIVE_PAGE,
        }),
      );
      for (const entry of page) {
        if (left.leavesOut(entry)) continue;
        const { path, sizeBytes, fileId } = entry;
        yield { path, sizeBytes, open: () => this.files.open(fileId) };
      }
      count += page.length;
      after = page.at(-1)?.path ?? null;
      if (page.length < ARCHIVE_PAGE) break;
    }
    if (source.kind === 'version' && prefix === '') {
      const { fileCount } = source.version;
      if (count !== fileCount) {
        throw new Error(`Version ${source.id} lists ${count} of its ${fileCount} files`);
      }
    }
    yield* left.manifest();
  }
}

function listed(item: TreeItem, entries: ReadonlyMap<string, VersionEntry>): ListedItem {
  if (item.kind === 'prefix') return { kind: 'prefix', prefix: item.path };
  return { kind: 'entry', entry: entries.get(item.path) as VersionEntry };
}
