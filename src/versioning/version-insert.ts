import type { PreparedSql, Tx } from '../core/contracts/unit-of-work.js';
import type { VersionEntry, VersionRecord } from '../core/contracts/versions.js';
import type { FileId, Sha256, UserId, VersionId } from '../core/ids.js';
import type { JsonObject } from '../core/json.js';
import type { Change } from './graph/overlay.js';
import type { Place } from './lineages.js';
import type { LockedBranch } from './locked-branch.js';
import type { VersionFile } from './purged-files.js';
import type { ReadPosition } from './position.js';

/** How many rows one INSERT carries. */
const ROWS_PER_INSERT = 10_000;

/** Who made a version, why, and of what besides the branch's head. */
export interface NewVersion {
  readonly author: UserId;
  readonly message: string;
  readonly mergeParent: VersionRecord | null;
  /** What the branch's head is read from. */
  readonly position: ReadPosition;
}

/** A document in the catalogue; its SHA-256 is its version's digest. */
export interface StoredDocument {
  readonly fileId: FileId;
  readonly digest: Sha256;
}

/** What a version's row says before it has an id. */
export interface VersionRow {
  readonly branch: LockedBranch;
  readonly version: NewVersion;
  readonly committedAt: Date;
  readonly document: StoredDocument;
  readonly place: Place;
}

const INSERT_VERSION: PreparedSql = {
  name: 'insert-version',
  text: `INSERT INTO dataset_versions (dataset_id, version_number, status, parent_version_id,
      merge_parent_id, message, created_by, created_at, committed_at, overlay_file_id, digest,
      file_count, total_size, lineage_id, lineage_depth, lineage_rows)
    VALUES ($1, $2, 'committed', $3, $4, $5, $6, $7, $7, $8, $9, $10, $11, $12, $13, $14)
    RETURNING id`,
};

const INSERT_ENTRIES: PreparedSql = {
  name: 'insert-version-entries',
  text: `INSERT INTO dataset_version_files
      (version_id, component_name, file_id, metadata, lineage_id, lineage_depth)
    SELECT $1, e.name, e.file_id, e.metadata::jsonb, $5, $6
    FROM unnest($2::text[], $3::integer[], $4::text[]) e (name, file_id, metadata)`,
};

/** A path with what is known of the file there. */
export function entryOf(
  path: string,
  { fileId, sha256, sizeBytes, mimeType, fileType, purged }: VersionFile,
  metadata: JsonObject | null,
): VersionEntry {
  const entry = { path, fileId, sha256, sizeBytes, mimeType, fileType, metadata };
  return purged ? { ...entry, purged } : entry;
}

/** A path that a version changes; null where it removes it. */
export interface ChangedEntry {
  readonly path: string;
  readonly entry: VersionEntry | null;
}

/** Changes with what is known of their files. */
export async function* changedEntries(
  changes: readonly Change[],
  files: ReadonlyMap<FileId, VersionFile>,
): AsyncGenerator<ChangedEntry> {
  for (const [path, content] of changes) {
    const file = content && files.get(content.fileId);
    if (!content || !file) yield { path, entry: null };
    else yield { path, entry: entryOf(path, file, content.metadata) };
  }
}

/** Stores a committed version's row. */
export async function insertVersion(
  tx: Tx,
  { branch, version, committedAt, document, place }: VersionRow,
  totals: { readonly files: number; readonly sizeBytes: number },
): Promise<VersionId> {
  const [row] = await tx.query<{ id: VersionId }>(INSERT_VERSION, [
    branch.datasetId,
    branch.versionNumber,
    branch.head?.id ?? null,
    version.mergeParent?.id ?? null,
    version.message,
    version.author,
    committedAt,
    document.fileId,
    document.digest,
    totals.files,
    totals.sizeBytes,
    place.lineageId,
    place.depth,
    place.rows,
  ]);
  if (!row) throw new Error('A version was not stored');
  return row.id;
}

/** Stores paths put and removed by a version, or, without a place, by a draft. */
export async function insertEntries(
  tx: Tx,
  version: VersionId,
  changes: readonly Change[],
  place: Pick<Place, 'lineageId' | 'depth'> | null,
): Promise<void> {
  for (let start = 0; start < changes.length; start += ROWS_PER_INSERT) {
    const rows = changes.slice(start, start + ROWS_PER_INSERT);
    await tx.query(INSERT_ENTRIES, [
      version,
      rows.map(([path]) => path),
      rows.map(([, content]) => content?.fileId ?? null),
      rows.map(([, content]) => (content?.metadata ? JSON.stringify(content.metadata) : null)),
      place?.lineageId ?? null,
      place?.depth ?? null,
    ]);
  }
}
