import { Inject, Injectable } from '@nestjs/common';
import { createHash } from 'node:crypto';
import { FILE_CATALOG, type FileCatalog } from '../core/contracts/file-catalog.js';
import { UNIT_OF_WORK, type UnitOfWork } from '../core/contracts/unit-of-work.js';
import type { VersionRecord } from '../core/contracts/versions.js';
import type { DatasetId, FileId, Sha256, VersionId } from '../core/ids.js';
import { overlayDocument, type OverlayEntry, type OverlayHeader } from './graph/document.js';
import { TombstoneVerification, type RemovedVersion } from './tombstone-verification.js';
import type { ChangedEntry } from './version-insert.js';
import { SqlVersionReader } from './version-reader.js';
import { selectVersions } from './version-rows.js';

/** What is wrong with a version. */
export type ChainFault =
  | 'document-unreadable'
  | 'document-altered'
  | 'version-altered'
  /** A number that was given has no version, and none was removed by the server. */
  | 'version-missing'
  /** A version is marked as removed, and no record in the storage says so. */
  | 'removal-unrecorded'
  /** What a version holds is not as much as its document says. */
  | 'contents-altered';

export interface ChainReport {
  readonly datasetId: DatasetId;
  /** How many versions are as their digests say. */
  readonly verifiedVersions: number;
  /** How many of them are tombstones: removed by the server, and recorded as such. */
  readonly removedVersions: number;
  /** The first version that is not; null where all are. */
  readonly firstFault: { readonly versionNumber: number; readonly fault: ChainFault } | null;
}

const PAGE = 1000;

/** A version or a tombstone, and what proving it takes. */
interface ChainLink {
  readonly record: VersionRecord;
  readonly documentId: FileId | null;
  /** Its first parent has been removed. */
  readonly isCut: boolean;
  readonly removed: RemovedVersion | null;
}

/** Told after each page of versions; what it throws ends the walk. */
export type ChainProgress = (upTo: number, last: number) => Promise<void>;

/** Where a document's beginning ends: no string within can hold this, its quotes would be escaped. */
const ENTRIES = ',"entries":[';

/**
 * Walks a dataset's versions, tombstones included, and proves each against its digest: the stored document by hashing it,
 * and what the database says (entries, totals, message, author, parents' digests) by writing the
 * document anew. Only the names that may have changed since are taken from the stored one.
 */
@Injectable()
export class ChainVerification {
  constructor(
    @Inject(FILE_CATALOG) private readonly files: FileCatalog,
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
    private readonly reader: SqlVersionReader,
    private readonly tombstones: TombstoneVerification,
  ) {}

  async verify(
    dataset: DatasetId,
    progress: ChainProgress = async () => undefined,
  ): Promise<ChainReport> {
    const { last, knownAfter } = await this.#numbers(dataset);
    const tombstones = this.tombstones.start();
    const report = { datasetId: dataset, verifiedVersions: 0, removedVersions: 0 };
    const found = (versionNumber: number, fault: ChainFault): ChainReport => ({
      ...report,
      firstFault: { versionNumber, fault },
    });
    let expected = 1;
    for (let more = true; more;) {
      await progress(expected - 1, last);
      const page = await this.#page(dataset, expected);
      for (const version of page) {
        const { versionNumber } = version.record;
        const missing = Math.max(expected, knownAfter + 1);
        if (versionNumber > missing) return found(missing, 'version-missing');
        const { removed } = version;
        const fault = removed
          ? await tombstones.faultOf(removed)
          : await this.#faultOf(version.record, version);
        if (fault) return found(versionNumber, fault);
        report.verifiedVersions += 1;
        if (removed) report.removedVersions += 1;
        expected = versionNumber + 1;
      }
      more = page.length === PAGE;
    }
    const missing = Math.max(expected, knownAfter + 1);
    return missing <= last ? found(missing, 'version-missing') : { ...report, firstFault: null };
  }

  /** The highest number given, and up to which one a gap says nothing. */
  async #numbers(dataset: DatasetId): Promise<{ last: number; knownAfter: number }> {
    const [row] = await this.unitOfWork.read((tx) =>
      tx.query<{ last: number; knownAfter: number }>(
        `SELECT last_version_number AS last, removals_known_after AS "knownAfter" FROM datasets
         WHERE id = $1`,
        [dataset],
      ),
    );
    return row ?? { last: 0, knownAfter: 0 };
  }

  /** The next versions and tombstones from a number on. */
  #page(dataset: DatasetId, from: number): Promise<ChainLink[]> {
    return this.unitOfWork.read(async (tx) => {
      const records = await selectVersions(
        tx,
        `WHERE v.dataset_id = $1 AND v.status <> 'draft' AND v.version_number >= $2
         ORDER BY v.version_number LIMIT $3`,
        [dataset, from, PAGE],
      );
      const rows = await tx.query<
        Omit<ChainLink, 'record' | 'removed'> & {
          id: VersionId;
          removalId: number | null;
          recordId: FileId;
        }
      >(
        `SELECT v.id, v.overlay_file_id AS "documentId", v.removal_id AS "removalId",
           r.record_file_id AS "recordId", p.status IS NOT DISTINCT FROM 'removed' AS "isCut"
         FROM dataset_versions v LEFT JOIN dataset_removals r ON r.id = v.removal_id
         LEFT JOIN dataset_versions p ON p.id = v.parent_version_id
         WHERE v.id = ANY($1::integer[])`,
        [records.map(({ id }) => id)],
      );
      const more = new Map(rows.map((row) => [row.id, row]));
      return records.flatMap((record) => {
        const row = more.get(record.id);
        if (!row) return [];
        const { documentId, removalId, recordId, isCut } = row;
        const { id, digest } = record;
        const removed = removalId === null ? null : { id, digest, documentId, removalId, recordId };
        return [{ record, documentId, isCut, removed }];
      });
    });
  }

  async #faultOf(
    version: VersionRecord,
    { documentId, isCut }: Pick<ChainLink, 'documentId' | 'isCut'>,
  ): Promise<ChainFault | null> {
    let document: { digest: string; start: string };
    try {
      document = await this.#read(documentId as FileId);
    } catch {
      return 'document-unreadable';
    }
    if (document.digest !== version.digest) return 'document-altered';
    const rewritten = await this.#rewrite(version, document.start);
    if (rewritten !== version.digest) return 'version-altered';
    return isCut && !(await this.#holdsAll(version)) ? 'contents-altered' : null;
  }

  /**
   * Whether a version whose parents are removed holds as much as its document says. What it reads of
   * them is proved with their tombstones, as far as it is there.
   */
  async #holdsAll({ id, fileCount, totalSizeBytes }: VersionRecord): Promise<boolean> {
    const counted = await this.unitOfWork.read((tx) => this.reader.totals(tx, id));
    return counted.files === fileCount && counted.sizeBytes === totalSizeBytes;
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
        this.reader.written(tx, version, { after: from, limit: PAGE }),
      );
      for (const { path, entry } of page) yield entry ?? { path, removed: true };
      after = page.at(-1)?.path ?? null;
      if (page.length < PAGE) return;
    }
  }
}
