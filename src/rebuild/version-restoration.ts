import type { StorageBackend } from '../core/contracts/storage-backend.js';
import type { Tx, UnitOfWork } from '../core/contracts/unit-of-work.js';
import type { DatasetId, Sha256, VersionId } from '../core/ids.js';
import {
  OVERLAY_MEDIA_TYPE,
  type OverlayEntry,
  type OverlayHeader,
} from '../versioning/graph/document.js';
import { Lineages } from '../versioning/lineages.js';
import { EMPTY_POSITION, readPosition } from '../versioning/position.js';
import { DocumentLost, type HistoryPlan } from './history-plan.js';
import type { SubjectRestoration } from './subject-restoration.js';

/** A version with more changes than this is read once more rather than held in memory. */
const HELD = 5000;

/** How many planned versions are looked at at once. */
const BATCH = 200;

interface PlannedVersion {
  readonly digest: Sha256;
  readonly number: number;
  readonly parents: Sha256[];
  readonly changes: number;
  /** The digest of the record that says that it was removed. */
  readonly removal: Sha256 | null;
}

/** What a version's row says of it. */
type Described = Omit<OverlayHeader, 'dataset' | 'branch' | 'parents'>;

// What a content is called comes from the first entry that names it. One that is not in the storage
// becomes a damaged file: uploading the same content heals it.
const DESCRIBE = `
  INSERT INTO files (storage_type, file_type, mime_type, file_path, file_size, content_hash,
    damaged_at)
  SELECT DISTINCT ON (e.hash) $1, e.file_type, e.mime_type, e.path, e.size, e.hash, now()
  FROM unnest($2::text[], $3::text[], $4::text[], $5::bigint[], $6::text[])
    AS e (file_type, mime_type, path, size, hash)
  ON CONFLICT (content_hash) DO UPDATE
    SET file_type = excluded.file_type, mime_type = excluded.mime_type
    WHERE files.file_type IS NULL AND files.mime_type = 'application/octet-stream'`;

// Where a content has been purged since, its notice stands: the first one, as that had been lifted
// before the content could come again.
const INSERT_ENTRIES = `
  INSERT INTO dataset_version_files
    (version_id, component_name, file_id, metadata, lineage_id, lineage_depth)
  SELECT $1, e.path, coalesce(purge.notice_file_id, f.id), e.metadata::jsonb, $2, $3
  FROM unnest($4::text[], $5::text[], $6::text[]) AS e (path, hash, metadata)
  LEFT JOIN files f ON f.content_hash = e.hash
  LEFT JOIN LATERAL (
    SELECT p.notice_file_id FROM dataset_purges p
    WHERE p.dataset_id = $7 AND p.content_hash = e.hash AND p.purged_at >= $8
    ORDER BY p.purged_at LIMIT 1
  ) purge ON TRUE`;

/**
 * Stores planned versions in the order of their numbers, each in a transaction of its own, so that a
 * kill loses the one that was under way. Their places on lineages are found as commits find them.
 */
export class VersionRestoration {
  readonly #lineages = new Lineages();

  constructor(
    private readonly unitOfWork: UnitOfWork,
    private readonly backend: StorageBackend,
    private readonly plan: HistoryPlan,
    private readonly subjects: SubjectRestoration,
  ) {}

  /** Stores what is planned and not there yet. @returns how many versions */
  async restore(dataset: DatasetId, signal: AbortSignal, progress: () => void): Promise<number> {
    let stored = 0;
    for (;;) {
      const planned = await this.unitOfWork.read((tx) =>
        tx.query<PlannedVersion>(
          `SELECT digest, version_number AS number, parents, changes::float8 AS changes, removal
           FROM rebuild_versions WHERE dataset_id = $1 AND version_number > coalesce(
             (SELECT max(version_number) FROM dataset_versions WHERE dataset_id = $1), 0)
           ORDER BY version_number LIMIT ${BATCH}`,
          [dataset],
        ),
      );
      if (planned.length === 0) return stored;
      for (const version of planned) {
        signal.throwIfAborted();
        await this.#store(dataset, version);
        stored += 1;
        progress();
      }
    }
  }

  async #store(dataset: DatasetId, version: PlannedVersion): Promise<void> {
    const { digest, removal } = version;
    const read = await this.#read(version);
    const { changes, held } = read;
    await this.unitOfWork.run(async (tx) => {
      const header = read.header ?? (await this.#epitaph(tx, dataset, version));
      const [parent = null, mergeParent = null] = await this.#parents(tx, dataset, version);
      const position =
        parent === null ? EMPTY_POSITION : await readPosition(tx, parent, { evenRemoved: true });
      const { place, segments } = await this.#lineages.placeChild(tx, {
        dataset,
        parent,
        position,
        changes,
      });
      await this.subjects.ensureUser(tx, header.author.id, header.author.name);
      const row = { dataset, digest, header, parent, mergeParent, place, removal };
      const id = await this.#insert(tx, row);
      const of = { dataset, id, place, time: header.time };
      const write = (entries: readonly OverlayEntry[]) => this.#entries(tx, of, entries);
      // Nobody else works on this database: a long document may be read inside the transaction.
      if (held !== null) await write(held);
      else await this.plan.document(digest, write);
      if (removal !== null) return;
      const { fileCount } = header;
      await this.#lineages.compactWhereWorthwhile(tx, {
        id,
        dataset,
        segments,
        fileCount,
        changes,
      });
    });
  }

  /** A version's document; of a removed one it may be gone, and nothing of it is read any more then. */
  async #read({ digest, changes, removal }: PlannedVersion): Promise<{
    header: OverlayHeader | null;
    changes: number;
    held: OverlayEntry[] | null;
  }> {
    let held: OverlayEntry[] | null = changes <= HELD ? [] : null;
    try {
      const { header, changes: found } = await this.plan.document(digest, async (entries) => {
        if (held && held.length + entries.length > HELD) held = null;
        held?.push(...entries);
      });
      return { header, changes: found, held };
    } catch (error) {
      if (removal === null || !(error instanceof DocumentLost)) throw error;
      return { header: null, changes: 0, held: [] };
    }
  }

  /** What can still be said of a removed version without its document. */
  async #epitaph(tx: Tx, dataset: DatasetId, version: PlannedVersion): Promise<Described> {
    const [removal] = await tx.query<{ id: number; name: string; time: Date }>(
      `SELECT u.id, u.name, r.removed_at AS time
       FROM dataset_removals r JOIN files f ON f.id = r.record_file_id
       JOIN datasets d ON d.id = r.dataset_id
       JOIN users u ON u.id = coalesce(r.removed_by, d.created_by)
       WHERE r.dataset_id = $1 AND f.content_hash = $2`,
      [dataset, version.removal],
    );
    if (!removal) throw new Error(`The removal ${version.removal} has gone while the rebuild ran`);
    const { id, name, time } = removal;
    return {
      number: version.number,
      author: { id, name },
      time: time.toISOString(),
      message: '',
      fileCount: 0,
      totalSizeBytes: 0,
    };
  }

  /** The parents' ids, the first parent first. */
  async #parents(
    tx: Tx,
    dataset: DatasetId,
    { number, parents }: PlannedVersion,
  ): Promise<VersionId[]> {
    const rows = await tx.query<{ id: VersionId }>(
      `SELECT v.id FROM unnest($2::text[]) WITH ORDINALITY p (digest, place)
       JOIN dataset_versions v ON v.dataset_id = $1 AND v.digest = p.digest ORDER BY p.place`,
      [dataset, parents],
    );
    if (rows.length === parents.length) return rows.map(({ id }) => id);
    throw new Error(`Version ${number} of dataset ${dataset} is numbered before a parent of its`);
  }

  async #insert(
    tx: Tx,
    version: {
      dataset: DatasetId;
      digest: Sha256;
      header: Described;
      parent: VersionId | null;
      mergeParent: VersionId | null;
      place: { lineageId: number; depth: number; rows: number };
      removal: Sha256 | null;
    },
  ): Promise<VersionId> {
    const { dataset, digest, header, parent, mergeParent, place, removal } = version;
    const [row] = await tx.query<{ id: VersionId }>(
      `WITH document AS (
         UPDATE files SET
           mime_type = CASE WHEN file_type IS NULL THEN $2 ELSE mime_type END,
           file_type = coalesce(file_type, 'json')
         WHERE content_hash = $1 AND damaged_at IS NULL RETURNING id
       ), removal AS (
         SELECT r.id, r.removed_at FROM dataset_removals r JOIN files f ON f.id = r.record_file_id
         WHERE r.dataset_id = $3 AND f.content_hash = $15
       )
       INSERT INTO dataset_versions (dataset_id, version_number, status, parent_version_id,
         merge_parent_id, message, created_by, created_at, committed_at, overlay_file_id, digest,
         file_count, total_size, lineage_id, lineage_depth, lineage_rows, removal_id, removed_at)
       SELECT $3, $4, CASE WHEN $15::text IS NULL THEN 'committed' ELSE 'removed' END, $5, $6,
         CASE WHEN $15::text IS NULL THEN $7 ELSE '' END, $8, $9, $9,
         (SELECT id FROM document), $1, $10, $11, $12, $13, $14,
         (SELECT id FROM removal), (SELECT removed_at FROM removal)
       RETURNING id`,
      [
        digest,
        OVERLAY_MEDIA_TYPE,
        dataset,
        header.number,
        parent,
        mergeParent,
        header.message,
        header.author.id,
        header.time,
        header.fileCount,
        header.totalSizeBytes,
        place.lineageId,
        place.depth,
        place.rows,
        removal,
      ],
    );
    return row?.id as VersionId;
  }

  async #entries(
    tx: Tx,
    version: {
      readonly dataset: DatasetId;
      readonly id: VersionId;
      readonly place: { readonly lineageId: number; readonly depth: number };
      readonly time: string;
    },
    entries: readonly OverlayEntry[],
  ): Promise<void> {
    const put = entries.flatMap((entry) => ('removed' in entry ? [] : [entry]));
    await tx.query(DESCRIBE, [
      this.backend.type,
      put.map(({ fileType }) => fileType),
      put.map(({ mimeType }) => mimeType),
      put.map(({ sha256, sizeBytes }) =>
        this.backend.finalKey({ stagedKey: 'staging/lost', sizeBytes }, sha256),
      ),
      put.map(({ sizeBytes }) => sizeBytes),
      put.map(({ sha256 }) => sha256),
    ]);
    await tx.query(INSERT_ENTRIES, [
      version.id,
      version.place.lineageId,
      version.place.depth,
      entries.map(({ path }) => path),
      entries.map((entry) => ('removed' in entry ? null : entry.sha256)),
      entries.map((entry) =>
        'removed' in entry || entry.metadata === null ? null : JSON.stringify(entry.metadata),
      ),
      version.dataset,
      version.time,
    ]);
  }
}
