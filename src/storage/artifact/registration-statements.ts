import type { StagedArtifact } from '../../core/contracts/artifact-producer.js';
import type { PreparedSql, Tx } from '../../core/contracts/unit-of-work.js';
import type { FileId, Sha256, UserId } from '../../core/ids.js';
import type { JsonObject } from '../../core/json.js';

/** A content as it is written into `files`. */
export interface NewContent {
  readonly staged: StagedArtifact;
  readonly fileKey: string;
  readonly metadata: JsonObject;
  /** How many references it will have when it turns out to be new. */
  readonly references: number;
}

/** What `files` has of a content after it was written there. */
export interface ContentRow {
  readonly id: FileId;
  readonly content_hash: Sha256;
  readonly file_path: string;
  readonly file_size: string;
  readonly is_new: boolean;
  readonly is_damaged: boolean;
}

/** One uploader's hold on a file, with what that uploader said of it. */
export interface NewHold {
  readonly fileId: FileId;
  readonly userId: UserId;
  readonly staged: StagedArtifact;
}

// The row that exists is written even where nothing changes: that waits for whoever is registering
// the content right now, and locks it against the collector. Content that nothing references gets
// its grace anew. A row just inserted has no xmax; one that was there has it from its lock.
// Sorted, so that two transactions never wait for each other in a circle.
const UPSERT_FILES: PreparedSql = {
  name: 'upsert-files',
  text: `
  INSERT INTO files (storage_type, file_type, mime_type, file_path, file_size, content_hash,
    compression_type, metadata, reference_count, unreferenced_since)
  SELECT $1, file_type, mime_type, file_path, file_size, content_hash, compression_type, metadata,
    references_to, CASE WHEN references_to = 0 THEN now() END
  FROM unnest($2::text[], $3::text[], $4::text[], $5::bigint[], $6::char(64)[], $7::text[],
    $8::jsonb[], $9::bigint[])
    AS c (file_type, mime_type, file_path, file_size, content_hash, compression_type, metadata,
      references_to)
  ORDER BY content_hash
  ON CONFLICT (content_hash) DO UPDATE SET
    reference_count = files.reference_count + CASE WHEN $10 THEN EXCLUDED.reference_count ELSE 0 END,
    unreferenced_since = CASE WHEN files.reference_count = 0 AND NOT $10 THEN now() END
  RETURNING id, content_hash, file_path, file_size, xmax = 0 AS is_new,
    damaged_at IS NOT NULL AS is_damaged`,
};

const UPSERT_HOLDS = `
  INSERT INTO upload_holds (file_id, user_id, file_type, mime_type, compression_type, metadata,
    expires_at)
  SELECT file_id, user_id, file_type, mime_type, compression_type, metadata,
    now() + $1 * interval '1 millisecond'
  FROM unnest($2::integer[], $3::integer[], $4::text[], $5::text[], $6::text[], $7::jsonb[])
    AS h (file_id, user_id, file_type, mime_type, compression_type, metadata)
  ORDER BY file_id, user_id
  ON CONFLICT (file_id, user_id) DO UPDATE SET
    file_type = EXCLUDED.file_type, mime_type = EXCLUDED.mime_type,
    compression_type = EXCLUDED.compression_type, metadata = EXCLUDED.metadata,
    expires_at = greatest(upload_holds.expires_at, EXCLUDED.expires_at)
  RETURNING file_id, user_id, xmax = 0 AS is_new,
    (SELECT u.storage_quota::float8 FROM users u WHERE u.id = upload_holds.user_id) AS quota`;

const ADD_HOLDS_TO_COUNT = `
  UPDATE files SET reference_count = reference_count + added.holds, unreferenced_since = NULL
  FROM (SELECT id, count(*) AS holds FROM unnest($1::integer[]) AS id GROUP BY id) AS added
  WHERE files.id = added.id`;

/**
 * Writes each content once; the ones that are there already stay as they are.
 * @param countsAll adds the references to contents that are there already, too: holds are counted
 *   apart, for an uploader may have one already
 */
export function upsertFiles(
  tx: Tx,
  storageType: string,
  contents: readonly NewContent[],
  countsAll: boolean,
): Promise<ContentRow[]> {
  return tx.query<ContentRow>(UPSERT_FILES, [
    storageType,
    contents.map(({ staged }) => staged.fileType),
    contents.map(({ staged }) => staged.mimeType),
    contents.map(({ fileKey }) => fileKey),
    contents.map(({ staged }) => staged.sizeBytes),
    contents.map(({ staged }) => staged.sha256),
    contents.map(({ staged }) => staged.compressionType),
    contents.map(({ metadata }) => JSON.stringify(metadata)),
    contents.map(({ references }) => references),
    countsAll,
  ]);
}

/** A hold that was not there before, and the quota of whose it is. */
interface MadeHold {
  readonly file_id: FileId;
  readonly user_id: UserId;
  readonly quota: number | null;
}

/** Makes or renews holds; gives those that are new. */
export async function upsertHolds(
  tx: Tx,
  holdMs: number,
  holds: readonly NewHold[],
): Promise<MadeHold[]> {
  if (holds.length === 0) return [];
  const rows = await tx.query<MadeHold & { is_new: boolean }>(UPSERT_HOLDS, [
    holdMs,
    holds.map(({ fileId }) => fileId),
    holds.map(({ userId }) => userId),
    holds.map(({ staged }) => staged.fileType),
    holds.map(({ staged }) => staged.mimeType),
    holds.map(({ staged }) => staged.compressionType),
    holds.map(({ staged }) => JSON.stringify(staged.metadata)),
  ]);
  return rows.filter((row) => row.is_new);
}

/** Counts new holds on files that were there before, one for each time an id is listed. */
export async function countHolds(tx: Tx, files: readonly FileId[]): Promise<void> {
  if (files.length > 0) await tx.query(ADD_HOLDS_TO_COUNT, [files]);
}

/** Takes rows back that this transaction has inserted. */
export async function withdraw(tx: Tx, files: readonly FileId[]): Promise<void> {
  if (files.length === 0) return;
  await tx.query('DELETE FROM upload_holds WHERE file_id = ANY ($1::integer[])', [files]);
  await tx.query('DELETE FROM files WHERE id = ANY ($1::integer[])', [files]);
}

/** Records that damaged files have their bytes again, and where. */
export async function markHealed(
  tx: Tx,
  files: readonly { readonly id: FileId; readonly fileKey: string }[],
): Promise<void> {
  if (files.length === 0) return;
  await tx.query(
    `UPDATE files SET damaged_at = NULL, file_path = healed.file_path
     FROM unnest($1::integer[], $2::text[]) AS healed (id, file_path) WHERE files.id = healed.id`,
    [files.map(({ id }) => id), files.map(({ fileKey }) => fileKey)],
  );
}

/** The files that have these contents by now. */
export async function findContents(
  tx: Tx,
  digests: readonly Sha256[],
): Promise<Map<Sha256, FileId>> {
  const rows = await tx.query<{ id: FileId; content_hash: Sha256 }>(
    'SELECT id, content_hash FROM files WHERE content_hash = ANY ($1::char(64)[])',
    [digests],
  );
  return new Map(rows.map((row) => [row.content_hash, row.id]));
}
