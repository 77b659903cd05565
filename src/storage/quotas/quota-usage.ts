import type { HolderType } from '../../core/contracts/storage-quotas.js';
import type { Reader } from '../../core/contracts/unit-of-work.js';
import type { FileId } from '../../core/ids.js';

/** Somebody, or something, that holds contents. */
export interface Holder {
  readonly type: HolderType;
  readonly id: number;
}

/** Of datasets' versions and drafts; the notices that the server put in a content's place are not counted. */
const contentsOf = (datasets: string) => `
  SELECT e.file_id FROM dataset_versions v JOIN dataset_version_files e ON e.version_id = v.id
  WHERE v.dataset_id ${datasets} AND e.file_id IS NOT NULL
    AND NOT EXISTS (SELECT FROM dataset_purges p WHERE p.notice_file_id = e.file_id)`;

/**
 * The contents that a holder has, as SQL of its id: of a user what its uploads hold and what the
 * datasets hold that it owns, deleted ones until they are forgotten.
 */
function heldBy({ type, id }: { type: HolderType; id: string }, uploads: string): string {
  if (type === 'dataset') return contentsOf(`= ${id}`);
  return `SELECT h.file_id FROM upload_holds h WHERE h.user_id = ${id} AND ${uploads}
    UNION ${contentsOf(`IN (SELECT d.id FROM datasets d WHERE d.created_by = ${id})`)}`;
}

/** How many different bytes a holder has, as SQL of its id. */
export const usedBytesSql = (type: HolderType, id: string): string =>
  `(SELECT coalesce(sum(f.file_size), 0) FROM files f
    WHERE f.id IN (${heldBy({ type, id }, 'TRUE')}))`;

/** How many different bytes a holder has. */
export async function countUsed(tx: Reader, { type, id }: Holder): Promise<number> {
  const [row] = await tx.query<{ used: number }>(
    `SELECT ${usedBytesSql(type, '$1')}::float8 AS used`,
    [id],
  );
  return row?.used ?? 0;
}

/**
 * How many different bytes a holder has, and how many more some files would be.
 * @param heldAnew files whose uploads this transaction has noted already: they do not count by that
 */
export async function countWith(
  tx: Reader,
  { type, id }: Holder,
  files: readonly FileId[],
  heldAnew: readonly FileId[],
): Promise<{ used: number; needed: number }> {
  const held = heldBy({ type, id: '$1' }, 'h.file_id <> ALL ($3::integer[])');
  const [row] = await tx.query<{ used: number; needed: number }>(
    `WITH held AS MATERIALIZED (${held})
     SELECT
       (SELECT coalesce(sum(f.file_size), 0)::float8 FROM files f
        WHERE f.id IN (SELECT file_id FROM held)) AS used,
       (SELECT coalesce(sum(f.file_size), 0)::float8 FROM files f
        WHERE f.id = ANY ($2::integer[]) AND f.id NOT IN (SELECT file_id FROM held)) AS needed`,
    type === 'user' ? [id, files, heldAnew] : [id, files],
  );
  return row ?? { used: 0, needed: 0 };
}
