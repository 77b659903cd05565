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
import type { HistoryPlan } from './history-plan.js';
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
}

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

const INSERT_ENTRIES = `
  INSERT INTO dataset_version_files
    (version_id, component_name, file_id, metadata, lineage_id, lineage_depth)
  SELECT $1, e.path, f.id, e.metadata::jsonb, $2, $3
  FROM unnest($4::text[], $5::text[], $6::text[]) AS e (path, hash, metadata)
  LEFT JOIN files f ON f.content_hash = e.hash`;

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
          `SELECT digest, version_number AS number, parents, changes::float8 AS changes
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
    const { digest, changes } = version;
    const held: OverlayEntry[] = [];
    const hold = async (entries: readonly OverlayEntry[]) => void held.push(...entries);
    const { header } = await this.plan.document(digest, changes <= HELD ? hold : undefined);
    await this.unitOfWork.run(async (tx) => {
      const [parent = null, mergeParent = null] = await this.#parents(tx, dataset, version);
      const position = parent === null ? EMPTY_POSITION : await readPosition(tx, parent);
      const place = await this.#lineages.placeChild(tx, { dataset, parent, position, changes });
      await this.subjects.ensureUser(tx, header.author.id, header.author.name);
      const id = await this.#insert(tx, { dataset, digest, header, parent, mergeParent, place });
      const write = (entries: readonly OverlayEntry[]) => this.#entries(tx, id, place, entries);
      // Nobody else works on this database: a long document may be read inside the transaction.
      if (changes <= HELD) await write(held);
      else await this.plan.document(digest, write);
      const { fileCount } = header;
      await this.#lineages.compactWhereWorthwhile(tx, { id, dataset, fileCount, changes });
    });
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
      header: OverlayHeader;
      parent: VersionId | null;
      mergeParent: VersionId | null;
      place: { lineageId: number; depth: number; rows: number };
    },
  ): Promise<VersionId> {
    const { dataset, digest, header, parent, mergeParent, place } = version;
    const [row] = await tx.query<{ id: VersionId }>(
      `WITH document AS (
         UPDATE files SET
           mime_type = CASE WHEN file_type IS NULL THEN $2 ELSE mime_type END,
           file_type = coalesce(file_type, 'json')
         WHERE content_hash = $1 RETURNING id
       )
       INSERT INTO dataset_versions (dataset_id, version_number, status, parent_version_id,
         merge_parent_id, message, created_by, created_at, committed_at, overlay_file_id, digest,
         file_count, total_size, lineage_id, lineage_depth, lineage_rows)
       SELECT $3, $4, 'committed', $5, $6, $7, $8, $9, $9, document.id, $1, $10, $11, $12, $13, $14
       FROM document RETURNING id`,
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
      ],
    );
    if (!row) throw new Error(`The document ${digest} has gone while the rebuild ran`);
    return row.id;
  }

  async #entries(
    tx: Tx,
    version: VersionId,
    place: { lineageId: number; depth: number },
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
      version,
      place.lineageId,
      place.depth,
      entries.map(({ path }) => path),
      entries.map((entry) => ('removed' in entry ? null : entry.sha256)),
      entries.map((entry) =>
        'removed' in entry || entry.metadata === null ? null : JSON.stringify(entry.metadata),
      ),
    ]);
  }
}
