import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Sha256 } from '../../src/core/ids.js';
import { keyOfContent } from '../../src/storage/backend/local/object-key.js';
import {
  overlayDocument,
  type OverlayEntry,
  type OverlayHeader,
} from '../../src/versioning/graph/document.js';
import {
  continuesLineage,
  segmentsToCompact,
  type Segment,
} from '../../src/versioning/graph/lineage.js';
import type { Varve } from '../harness/varve.js';
import type { FilledRows, StoredDocument, VersionRow } from './filled-rows.js';

/** A stored content that many paths have. */
export interface Content {
  readonly id: number;
  readonly sha256: Sha256;
  readonly sizeBytes: number;
}

/** A branch's newest version, and what it is read from. */
export interface Head {
  readonly versionId: number;
  readonly number: number;
  readonly digest: Sha256;
  readonly segments: readonly Segment[];
  readonly fileCount: number;
  readonly totalSizeBytes: number;
}

/** A dataset that is filled. */
export interface FilledDataset {
  readonly id: number;
  readonly name: string;
}

const CONTENTS = 100;
const MEDIA = { mimeType: 'application/octet-stream', fileType: 'bin' };

/** The path of a dataset's i-th file: in path order. */
export function pathOf(i: number): string {
  const folder = String(Math.floor(i / 1000)).padStart(4, '0');
  return `data/${folder}/${String(i).padStart(7, '0')}.bin`;
}

/**
 * Writes histories straight into the database and the storage, in exactly the form in which the
 * server's own commits would have left them: a million files, or ten thousand versions, in seconds.
 * What lies where is decided by the server's own functions.
 */
export class Filler {
  private readonly turns = new Map<number, number>();

  private constructor(
    private readonly varve: Varve,
    private readonly rows: FilledRows,
    private readonly author: { readonly id: number; readonly name: string },
    private readonly contents: readonly Content[],
  ) {}

  static async open(varve: Varve, rows: FilledRows): Promise<Filler> {
    const me = await varve.call<{ id: number; name: string }>('GET', '/users/me');
    // Only this: it goes into the documents as it is.
    const author = { id: me.id, name: me.name };
    const contents: Content[] = [];
    for (let i = 0; i < CONTENTS; i++) {
      contents.push(await varve.upload(`${i}.bin`, new TextEncoder().encode(`content ${i}`)));
    }
    return new Filler(varve, rows, author, contents);
  }

  content(i: number): Content {
    return this.contents[i % this.contents.length] as Content;
  }

  /**
   * An operation that changes one path of a dataset: the next one each time it is asked, and always
   * to another content than is there.
   */
  nextChange(dataset: FilledDataset, files: number): { op: string; path: string; fileId: number } {
    const turn = this.turns.get(dataset.id) ?? 0;
    this.turns.set(dataset.id, turn + 1);
    const file = turn % files;
    // At first a path has the content of its number, or, where it was rewritten, the one after that.
    const content = this.content(file + 2 + Math.floor(turn / files));
    return { op: 'put', path: pathOf(file), fileId: content.id };
  }

  async dataset(name: string): Promise<FilledDataset> {
    const { id } = await this.varve.call<FilledDataset>('POST', '/datasets', { name });
    return { id, name };
  }

  /** The first version of a dataset, on `main`: so many files. */
  async firstVersion(dataset: FilledDataset, files: number): Promise<Head> {
    const sizes = this.contents.map(({ sizeBytes }) => sizeBytes);
    const perRound = sizes.reduce((sum, size) => sum + size, 0);
    const rest = sizes.slice(0, files % CONTENTS).reduce((sum, size) => sum + size, 0);
    const totals = {
      fileCount: files,
      totalSizeBytes: Math.floor(files / CONTENTS) * perRound + rest,
    };
    const put = (i: number) => this.put(pathOf(i), this.content(i));
    function* entries(): Generator<OverlayEntry> {
      for (let i = 0; i < files; i++) yield put(i);
    }
    const header = this.header(dataset, 'main', 1, [], totals);
    const document = await this.storeDocument(header, entries());
    const lineage = await this.rows.insertLineage(dataset.id, null, [], 0);
    const [version = 0] = await this.rows.versionIds(1);
    await this.rows.insertVersions([
      { id: version, parent: null, header, document, lineage, depth: 1, rows: files },
    ]);
    await this.rows.insertFirstEntries(
      version,
      lineage,
      files,
      this.contents.map(({ id }) => id),
    );
    await this.rows.pointTo(dataset.id, 'main', version, 1);
    const segments = [{ lineageId: lineage, depth: 1, rows: files, baseRows: 0 }];
    return { versionId: version, number: 1, digest: document.digest, segments, ...totals };
  }

  /**
   * Versions on a branch that change one path each, which is there already.
   * @param from the branch's head; nobody has built on it yet
   * @param pathAt the i-th version's path, as a file's number
   */
  async rewrites(
    dataset: FilledDataset,
    branch: string,
    from: Head,
    versions: number,
    pathAt: (i: number) => number,
  ): Promise<Head> {
    const ids = await this.rows.versionIds(versions);
    const rows: VersionRow[] = [];
    const changed: { path: string; fileId: number }[] = [];
    const current = new Map<number, Content>();
    let head = from;
    for (const [i, id] of ids.entries()) {
      const file = pathAt(i);
      const before = current.get(file) ?? this.content(file);
      // Another content than the one that is there.
      const content = this.content(this.contents.indexOf(before) + 1);
      current.set(file, content);
      const place = await this.place(dataset, head, 1);
      const { fileCount } = head;
      const totalSizeBytes = head.totalSizeBytes + content.sizeBytes - before.sizeBytes;
      const number = from.number + 1 + i;
      const header = this.header(dataset, branch, number, [head.digest], {
        fileCount,
        totalSizeBytes,
      });
      const document = await this.storeDocument(header, [this.put(pathOf(file), content)]);
      const [own] = place as [Segment];
      const { lineageId: lineage, depth } = own;
      rows.push({ id, parent: head.versionId, header, document, lineage, depth, rows: own.rows });
      changed.push({ path: pathOf(file), fileId: content.id });
      if (segmentsToCompact(place, fileCount, 1) > 0) throw new Error('This would be compacted');
      const { digest } = document;
      head = { versionId: id, number, digest, segments: place, fileCount, totalSizeBytes };
    }
    await this.rows.insertVersions(rows);
    await this.rows.insertEntries(rows, changed);
    await this.rows.pointTo(dataset.id, branch, head.versionId, head.number);
    return head;
  }

  /**
   * A version on `main` that removes all files of a first version but some, with the base of its own
   * that such a version gets.
   */
  async removal(dataset: FilledDataset, from: Head, kept: number): Promise<Head> {
    const removed = from.fileCount - kept;
    // The last ones stay: a reader that passes what is removed would have to pass all of it.
    const sizes = Array.from({ length: kept }, (_, i) => this.content(removed + i).sizeBytes);
    const totals = { fileCount: kept, totalSizeBytes: sizes.reduce((sum, size) => sum + size, 0) };
    function* entries(): Generator<OverlayEntry> {
      for (let i = 0; i < removed; i++) yield { path: pathOf(i), removed: true };
    }
    const header = this.header(dataset, 'main', from.number + 1, [from.digest], totals);
    const document = await this.storeDocument(header, entries());
    const place = await this.place(dataset, from, removed);
    const [own] = place as [Segment];
    if (segmentsToCompact(place, kept, removed) !== place.length) {
      throw new Error('This would not be compacted');
    }
    const [version = 0] = await this.rows.versionIds(1);
    const { lineageId: lineage, depth, rows } = own;
    await this.rows.insertVersions([
      { id: version, parent: from.versionId, header, document, lineage, depth, rows },
    ]);
    const base = await this.rows.insertLineage(dataset.id, version, [], kept);
    await this.rows.insertRemoval(
      { id: version, lineage, depth, base },
      from.versionId,
      pathOf(removed),
    );
    await this.rows.pointTo(dataset.id, 'main', version, from.number + 1);
    const segments = [{ lineageId: base, depth: 0, rows: kept, baseRows: kept }];
    const { digest } = document;
    return { versionId: version, number: from.number + 1, digest, segments, ...totals };
  }

  /** Counts the references that have been written, and lets the planner know of all the rows. */
  finish(): Promise<void> {
    return this.rows.settle(this.contents.map(({ id }) => id));
  }

  private put(at: string, { sha256, sizeBytes }: Content): OverlayEntry {
    return { path: at, sha256, sizeBytes, ...MEDIA, metadata: null };
  }

  private header(
    dataset: FilledDataset,
    branch: string,
    number: number,
    parents: readonly Sha256[],
    totals: { readonly fileCount: number; readonly totalSizeBytes: number },
  ): OverlayHeader {
    const { author } = this;
    const time = new Date().toISOString();
    return {
      dataset,
      branch,
      number,
      parents,
      author,
      time,
      message: `version ${number}`,
      ...totals,
    };
  }

  private async storeDocument(
    header: OverlayHeader,
    entries: Iterable<OverlayEntry>,
  ): Promise<StoredDocument> {
    const pieces: Buffer[] = [];
    for await (const piece of overlayDocument(header, entries)) pieces.push(Buffer.from(piece));
    const bytes = Buffer.concat(pieces);
    const digest = createHash('sha256').update(bytes).digest('hex') as Sha256;
    const file = path.join(this.varve.dataDir, keyOfContent(digest));
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, bytes);
    return { digest, sizeBytes: bytes.length };
  }

  /** Where a branch's next version lies, and what it is read from. */
  private async place(dataset: FilledDataset, head: Head, changes: number): Promise<Segment[]> {
    const [own, ...older] = head.segments;
    if (own && continuesLineage(head.segments, changes)) {
      return [{ ...own, depth: own.depth + 1, rows: own.rows + changes }, ...older];
    }
    const lineageId = await this.rows.insertLineage(dataset.id, head.versionId, head.segments, 0);
    return [{ lineageId, depth: 1, rows: changes, baseRows: 0 }, ...head.segments];
  }
}
