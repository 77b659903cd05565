import type { PreparedSql, Reader } from '../core/contracts/unit-of-work.js';
import type { VersionRecord } from '../core/contracts/versions.js';
import type { DatasetId, VersionId } from '../core/ids.js';

/** A `VersionRecord` as the database gives it. */
export type RecordRow = Omit<VersionRecord, 'fileCount' | 'totalSizeBytes'> & {
  fileCount: string;
  totalSizeBytes: string;
};

/** The columns of a `VersionRecord`, from `dataset_versions v`. */
export const VERSION_COLUMNS = `
  v.id, v.dataset_id AS "datasetId", v.version_number AS "versionNumber", v.digest,
  v.parent_version_id AS "parentId", v.merge_parent_id AS "mergeParentId", v.message,
  v.created_by AS "createdBy", v.committed_at AS "committedAt", v.file_count AS "fileCount",
  v.total_size AS "totalSizeBytes"`;

/**
 * Reads committed versions.
 * @param rest what follows `FROM dataset_versions v`: joins, conditions, order, limit
 */
export async function selectVersions(
  tx: Reader,
  rest: string,
  parameters: readonly unknown[],
): Promise<VersionRecord[]> {
  const rows = await tx.query<RecordRow>(
    `SELECT ${VERSION_COLUMNS} FROM dataset_versions v ${rest}`,
    parameters,
  );
  return rows.map(toVersionRecord);
}

export function toVersionRecord(row: RecordRow): VersionRecord {
  return {
    ...row,
    fileCount: Number(row.fileCount),
    totalSizeBytes: Number(row.totalSizeBytes),
  };
}

/** The version of an id, or null. */
export async function versionById(tx: Reader, id: VersionId): Promise<VersionRecord | null> {
  const [version] = await selectVersions(tx, `WHERE v.id = $1 AND v.status = 'committed'`, [id]);
  return version ?? null;
}

const AT_POINTER: PreparedSql = {
  name: 'version-at-pointer',
  text: `SELECT ${VERSION_COLUMNS}
    FROM dataset_versions v JOIN dataset_pointers p ON p.dataset_version_id = v.id
    WHERE p.dataset_id = $1 AND p.pointer_name = $2`,
};

/** The head of a branch, or what a tag names; null while a branch is empty, or without a pointer. */
export async function versionAtPointer(
  tx: Reader,
  dataset: DatasetId,
  name: string,
): Promise<VersionRecord | null> {
  const [row] = await tx.query<RecordRow>(AT_POINTER, [dataset, name]);
  return row ? toVersionRecord(row) : null;
}
