import { Injectable } from '@nestjs/common';
import type { Reader } from '../core/contracts/unit-of-work.js';
import type { DatasetId, Sha256, VersionId } from '../core/ids.js';
import { Retention, type RetentionRules } from './retention.js';
import { edgeParameters, edgeTable, IS_NEEDED, readEdge, type IsKept } from './sweep-sql.js';

/** How many versions and paths a preview names; the rest is counted. */
const NAMED = 1000;

/** A path of a removed version that no version would hold any more. */
export interface FreedPath {
  readonly versionNumber: number;
  readonly path: string;
  readonly sha256: Sha256;
  readonly sizeBytes: number;
}

/** What a run would do. */
export interface RetentionPreview {
  readonly versionCount: number;
  /** The oldest of them. */
  readonly versions: readonly { readonly versionNumber: number; readonly digest: Sha256 }[];
  readonly pathCount: number;
  /** Those of the oldest versions. */
  readonly paths: readonly FreedPath[];
  /** Of contents to which nothing would refer any more, overlay documents included. */
  readonly bytes: number;
}

// As `SWEEP_ROWS` finds them, without deleting any: candidates are rows of versions that would be
// removed and of those that are. Parameters: the versions, and the edge.
const DOOMED = `
  WITH edge AS MATERIALIZED (${edgeTable(2)}),
  doomed AS (
    SELECT r.version_id, r.component_name, r.file_id FROM dataset_version_files r
    WHERE r.version_id = ANY($1::integer[]) AND NOT ${IS_NEEDED}
  )`;

// A content goes when all of its references do. The document of a version goes with its last row.
const TOTALS = `${DOOMED},
  documents AS (
    SELECT v.overlay_file_id AS file_id FROM dataset_versions v
    WHERE v.id = ANY($1::integer[]) AND v.overlay_file_id IS NOT NULL AND NOT EXISTS (
      SELECT FROM dataset_version_files r WHERE r.version_id = v.id AND NOT EXISTS (
        SELECT FROM doomed d
        WHERE d.version_id = r.version_id AND d.component_name = r.component_name
      )
    )
  ),
  released AS (
    SELECT file_id, count(*) AS references FROM (
      SELECT file_id FROM doomed WHERE file_id IS NOT NULL UNION ALL SELECT file_id FROM documents
    ) every_reference GROUP BY file_id
  )
  SELECT (SELECT count(*) FROM doomed WHERE file_id IS NOT NULL)::float8 AS "pathCount",
    (SELECT coalesce(sum(f.file_size), 0) FROM released r JOIN files f ON f.id = r.file_id
      WHERE f.reference_count = r.references)::float8 AS bytes`;

const PATHS = `${DOOMED}
  SELECT v.version_number AS "versionNumber", d.component_name AS path, f.content_hash AS sha256,
    f.file_size::float8 AS "sizeBytes"
  FROM doomed d JOIN dataset_versions v ON v.id = d.version_id JOIN files f ON f.id = d.file_id
  ORDER BY v.version_number, d.component_name LIMIT ${NAMED}`;

/** Tells what rules would let go, without letting go of it. */
@Injectable()
export class RetentionPreviews {
  constructor(private readonly retention: Retention) {}

  async preview(tx: Reader, dataset: DatasetId, rules: RetentionRules): Promise<RetentionPreview> {
    const removed = await this.retention.plan(tx, dataset, rules);
    const named = await tx.query<{ versionNumber: number; digest: Sha256 }>(
      `SELECT version_number AS "versionNumber", digest FROM dataset_versions
       WHERE id = ANY($1::integer[]) ORDER BY version_number LIMIT ${NAMED}`,
      [removed],
    );
    const isKept: IsKept = (alias) =>
      `(${alias}.status = 'committed' AND ${alias}.id <> ALL($2::integer[]))`;
    const edge = await readEdge(tx, dataset, isKept, [removed]);
    const candidates = [...removed, ...(await this.#alreadyRemoved(tx, dataset))];
    const parameters = [candidates, ...edgeParameters(edge)];
    const [totals] = await tx.query<{ pathCount: number; bytes: number }>(TOTALS, parameters);
    const paths = await tx.query<FreedPath>(PATHS, parameters);
    return {
      versionCount: removed.length,
      versions: named,
      pathCount: totals?.pathCount ?? 0,
      paths,
      bytes: totals?.bytes ?? 0,
    };
  }

  /** What kept versions still read of these may go as well. */
  async #alreadyRemoved(tx: Reader, dataset: DatasetId): Promise<VersionId[]> {
    const rows = await tx.query<{ id: VersionId }>(
      `SELECT id FROM dataset_versions
       WHERE dataset_id = $1 AND status = 'removed' AND overlay_file_id IS NOT NULL`,
      [dataset],
    );
    return rows.map(({ id }) => id);
  }
}
