import type { StoredFile } from '../core/contracts/file-catalog.js';
import type { Reader } from '../core/contracts/unit-of-work.js';
import type { PurgedContent } from '../core/contracts/versions.js';
import type { DatasetId, FileId, Sha256 } from '../core/ids.js';
import { PURGE_MEDIA_TYPE } from './graph/purge-notice.js';
import { PurgedContentRefused } from './versioning.problems.js';

/** A file as versions have it: of a purged content, what it was like. */
export interface VersionFile extends StoredFile {
  readonly purged?: PurgedContent;
}

interface PurgeRow {
  readonly noticeId: FileId;
  readonly sha256: Sha256;
  readonly sizeBytes: number;
  readonly fileType: string | null;
  readonly mimeType: string;
  readonly reason: string;
  readonly purgedAt: Date;
}

/**
 * Puts in place of purge notices what the purged contents were like, so that listings, totals and
 * overlay documents say of them what they always did. Costs nothing where there is no notice.
 */
export async function withPurges(
  tx: Reader,
  files: ReadonlyMap<FileId, StoredFile>,
): Promise<ReadonlyMap<FileId, VersionFile>> {
  const notices = [...files.values()].filter(({ mimeType }) => mimeType === PURGE_MEDIA_TYPE);
  if (notices.length === 0) return files;
  const rows = await tx.query<PurgeRow>(
    `SELECT notice_file_id AS "noticeId", content_hash AS sha256, file_size::float8 AS "sizeBytes",
       file_type AS "fileType", mime_type AS "mimeType", reason, purged_at AS "purgedAt"
     FROM dataset_purges WHERE notice_file_id = ANY($1::integer[])`,
    [notices.map(({ fileId }) => fileId)],
  );
  const known = new Map<FileId, VersionFile>(files);
  for (const { noticeId, reason, purgedAt, ...content } of rows) {
    const notice = files.get(noticeId);
    if (notice) known.set(noticeId, { ...notice, ...content, purged: { reason, purgedAt } });
  }
  return known;
}

/**
 * To be asked, where the dataset has purges, before contents are added to it.
 * @throws PurgedContentRefused
 */
export async function refusePurged(
  tx: Reader,
  dataset: DatasetId,
  files: readonly FileId[],
): Promise<void> {
  const refused = await tx.query<{ sha256: Sha256; reason: string }>(
    `SELECT p.content_hash AS sha256, p.reason
     FROM dataset_purges p JOIN files f ON f.content_hash = p.content_hash
     WHERE p.dataset_id = $1 AND p.lifted_at IS NULL AND f.id = ANY($2::integer[]) ORDER BY p.id`,
    [dataset, files],
  );
  if (refused.length > 0) throw new PurgedContentRefused(refused);
}
