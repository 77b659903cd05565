import { Inject, Injectable } from '@nestjs/common';
import { createHash } from 'node:crypto';
import { FILE_CATALOG, type FileCatalog } from '../core/contracts/file-catalog.js';
import { UNIT_OF_WORK, type UnitOfWork } from '../core/contracts/unit-of-work.js';
import type { VersionRecord } from '../core/contracts/versions.js';
import type { DatasetId, FileId, Sha256, VersionId } from '../core/ids.js';
import type { ChangedEntry } from './commits.js';
import { overlayDocument, type OverlayEntry, type OverlayHeader } from './graph/document.js';
import { SqlVersionReader } from './version-reader.js';
import { selectVersions } from './version-rows.js';

/** What is wrong with a version. */
export type ChainFault = 'document-unreadable' | 'document-altered' | 'version-altered';

export interface ChainReport {
  readonly datasetId: DatasetId;
  /** How many versions are as their digests say. */
  readonly verifiedVersions: number;
  /** The first version that is not; null where all are. */
  readonly firstFault: { readonly versionNumber: number; readonly fault: ChainFault } | null;
}

const PAGE = 1000;

/** Told after each page of versions; what it throws ends the walk. */
export type ChainProgress = (upTo: number, last: number) => Promise<void>;

/** Where a document's beginning ends: no string within can hold this, its quotes would be escaped. */
const ENTRIES = ',"entries":[';

/**
 * Walks a dataset's versions and proves each against its digest: the stored document by hashing it,
 * and what the database says (entries, totals, message, author, parents' digests) by writing the
 * document anew. Only the names that may have changed since are taken from the stored one.
 */
@Injectable()
export class ChainVerification {
  constructor(
    @Inject(FILE_CATALOG) private readonly files: FileCatalog,
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
    private readonly reader: SqlVersionReader,
  ) {}

  async verify(
    dataset: DatasetId,
    progress: ChainProgress = async () => undefined,
  ): Promise<ChainReport> {
    const last = await this.#lastNumber(dataset);
    let verifiedVersions = 0;
    for (let after = 0; ;) {
      await progress(after, last);
      const page = await this.unitOfWork.read((tx) =>
        this.reader.list(tx, dataset, { after, limit: PAGE }),
      );
      for (const version of page) {
        const fault = await this.#faultOf(version);
        if (fault) {
          const { versionNumber } = version;
          return { datasetId: dataset, verifiedVersions, firstFault: { versionNumber, fault } };
        }
        verifiedVersions += 1;
      }
      if (page.length < PAGE) return { datasetId: dataset, verifiedVersions, firstFault: null };
      after = page.at(-1)?.versionNumber ?? after;
    }
  }

  async #lastNumber(dataset: DatasetId): Promise<number> {
    const [row] = await this.unitOfWork.read((tx) =>
      tx.query<{ last: number }>('SELECT last_version_number AS last FROM datasets WHERE id = $1', [
        dataset,
      ]),
    );
    return row?.last ?? 0;
  }

  async #faultOf(version: VersionRecord): Promise<ChainFault | null> {
    const [stored] = await this.unitOfWork.read((tx) =>
      tx.query<{ fileId: FileId }>(
        'SELECT overlay_file_id AS "fileId" FROM dataset_versions WHERE id = $1',
        [version.id],
      ),
    );
    let document: { digest: string; start: string };
    try {
      document = await this.#read(stored?.fileId as FileId);
    } catch {
      return 'document-unreadable';
    }
    if (document.digest !== version.digest) return 'document-altered';
    const rewritten = await this.#rewrite(version, document.start);
    return rewritten === version.digest ? null : 'version-altered';
  }

  /** Hashes a stored document, and keeps what comes before its entries. */
  async #read(file: FileId): Promise<{ digest: string; start: string }> {
    const hash = createHash('sha256');
    let start = Buffer.alloc(0);
    for await (const chunk of await this.files.open(file)) {
      hash.update(chunk as Buffer);
      if (!start.includes(ENTRIES)) start = Buffer.concat([start, chunk as Buffer]);
    }
    return { digest: hash.digest('hex'), start: start.toString('utf8') };
  }

  async #rewrite(version: VersionRecord, start: string): Promise<string> {
    const end = start.indexOf(ENTRIES);
    const names = JSON.parse(`${start.slice(0, end)}}`) as Pick<
      OverlayHeader,
      'author' | 'branch' | 'dataset'
    >;
    const header: OverlayHeader = {
      dataset: { id: version.datasetId, name: names.dataset.name },
      branch: names.branch,
      number: version.versionNumber,
      parents: await this.#digestsOf([version.parentId, version.mergeParentId]),
      author: { id: version.createdBy, name: names.author.name },
      time: version.committedAt.toISOString(),
      message: version.message,
      fileCount: version.fileCount,
      totalSizeBytes: version.totalSizeBytes,
    };
    const hash = createHash('sha256');
    for await (const piece of overlayDocument(header, this.#entries(version.id))) {
      hash.update(piece);
    }
    return hash.digest('hex');
  }

  async #digestsOf(ids: readonly (VersionId | null)[]): Promise<Sha256[]> {
    const present = ids.filter((id) => id !== null);
    const versions = await this.unitOfWork.read((tx) =>
      selectVersions(tx, 'WHERE v.id = ANY($1::integer[])', [present]),
    );
    return present.flatMap((id) => versions.find((version) => version.id === id)?.digest ?? []);
  }

  async *#entries(version: VersionId): AsyncGenerator<OverlayEntry> {
    for (let after: string | null = null; ;) {
      const from: string | null = after;
      const page: ChangedEntry[] = await this.unitOfWork.read((tx) =>
        this.reader.overlay(tx, version, { after: from, limit: PAGE }),
      );
      for (const { path, entry } of page) yield entry ?? { path, removed: true };
      after = page.at(-1)?.path ?? null;
      if (page.length < PAGE) return;
    }
  }
}
