import type { PreparedSql, Reader } from '../core/contracts/unit-of-work.js';
import type { VersionId } from '../core/ids.js';
import { NotFound } from '../core/problems.js';
import type { Segment } from './graph/lineage.js';
import { refuseRemoved } from './removed-versions.js';

/** What a version is read from: a draft's own rows first, then segments, the nearest first. */
export interface ReadPosition {
  readonly draftId: VersionId | null;
  readonly segments: readonly Segment[];
}

interface Row {
  draftId: VersionId | null;
  lineageId: number | null;
  depth: number;
  rows: string;
  baseRows: string;
}

const POSITION: PreparedSql = {
  name: 'read-position',
  text: `WITH named AS (
       SELECT id, status, CASE status WHEN 'draft' THEN parent_version_id ELSE id END AS read_id
       FROM dataset_versions WHERE id = $1 AND ($2 OR status <> 'removed')
     )
     SELECT CASE n.status WHEN 'draft' THEN n.id END AS "draftId", s.lineage_id AS "lineageId",
       s.depth, s.rows, l.base_rows AS "baseRows"
     FROM named n
     LEFT JOIN dataset_versions v ON v.id = n.read_id
     LEFT JOIN dataset_lineages own ON own.id = coalesce(v.snapshot_lineage_id, v.lineage_id)
     LEFT JOIN LATERAL unnest(
       own.id || own.ancestor_lineages,
       CASE WHEN v.snapshot_lineage_id IS NULL THEN v.lineage_depth ELSE 0 END || own.ancestor_depths,
       CASE WHEN v.snapshot_lineage_id IS NULL THEN v.lineage_rows ELSE own.base_rows END
         || own.ancestor_rows
     ) WITH ORDINALITY s (lineage_id, depth, rows, nearness) ON own.id IS NOT NULL
     LEFT JOIN dataset_lineages l ON l.id = s.lineage_id
     ORDER BY s.nearness`,
};

/** The position of nothing: what the first version is built on. */
export const EMPTY_POSITION: ReadPosition = { draftId: null, segments: [] };

/**
 * Finds out what a version or a draft is read from, with one query, however long its history.
 * @param options `evenRemoved` gives what a removed version was read from, of which little may be left
 * @throws VersionRemoved, NotFound when it has gone
 */
export async function readPosition(
  tx: Reader,
  version: VersionId,
  { evenRemoved = false } = {},
): Promise<ReadPosition> {
  const rows = await tx.query<Row>(POSITION, [version, evenRemoved]);
  const [first] = rows;
  if (!first) {
    await refuseRemoved(tx, 'v.id = $1', [version]);
    throw new NotFound(`Version ${version}`);
  }
  return {
    draftId: first.draftId,
    segments: rows
      .filter((row) => row.lineageId !== null)
      .map((row) => ({
        lineageId: row.lineageId as number,
        depth: row.depth,
        rows: Number(row.rows),
        baseRows: Number(row.baseRows),
      })),
  };
}
