import type { Reader } from '../core/contracts/unit-of-work.js';
import type { DatasetId, VersionId } from '../core/ids.js';

/**
 * Which rows of removed versions nobody reads any more.
 *
 * A version is read from its own rows and those of its first parents, the nearest that has a name. So
 * all that kept versions need of the removed ones is what the oldest of them need: those whose first
 * parent is removed, the *edge*. A row is needed where a version at the edge finds it. What is not
 * needed now never will be: new versions build on kept ones and see no more than these do.
 */

/** The stretches of lineages that the versions at the edge are read from, the nearest first. */
export interface Edge {
  readonly version: number[];
  readonly nearness: number[];
  readonly lineage: number[];
  readonly depth: number[];
}

/** A condition on `dataset_versions` under an alias: whether the version can be read. */
export type IsKept = (alias: string) => string;

/** Finds the edge, with lineages followed by their origins and not by what was copied for reading. */
export async function readEdge(
  tx: Reader,
  dataset: DatasetId,
  isKept: IsKept,
  parameters: readonly unknown[],
): Promise<Edge> {
  const [edge] = await tx.query<Edge>(
    `WITH RECURSIVE edge AS (
       SELECT v.id, v.lineage_id, v.lineage_depth
       FROM dataset_versions v JOIN dataset_versions p ON p.id = v.parent_version_id
       WHERE v.dataset_id = $1 AND v.status <> 'draft' AND ${isKept('v')} AND NOT ${isKept('p')}
     ), chain (version, nearness, lineage, depth) AS (
       SELECT id, 0, lineage_id, lineage_depth FROM edge
       UNION ALL
       SELECT c.version, c.nearness + 1, o.lineage_id, o.lineage_depth
       FROM chain c JOIN dataset_lineages l ON l.id = c.lineage
       JOIN dataset_versions o ON o.id = l.origin_version_id
     )
     SELECT coalesce(array_agg(version), '{}') AS version,
       coalesce(array_agg(nearness), '{}') AS nearness,
       coalesce(array_agg(lineage), '{}') AS lineage, coalesce(array_agg(depth), '{}') AS depth
     FROM chain`,
    [dataset, ...parameters],
  );
  return edge ?? { version: [], nearness: [], lineage: [], depth: [] };
}

/** `edge` as a table, of the four parameters from `$first` on. */
export function edgeTable(first: number): string {
  const list = (offset: number): string => `$${first + offset}::integer[]`;
  return `SELECT * FROM unnest(${list(0)}, ${list(1)}, ${list(2)}, ${list(3)})
    t (version, nearness, lineage, depth)`;
}

export const edgeParameters = ({ version, nearness, lineage, depth }: Edge): number[][] => [
  version,
  nearness,
  lineage,
  depth,
];

/** Whether a version at the edge finds the row `r` of `dataset_version_files`. */
export const IS_NEEDED = `EXISTS (
  SELECT FROM edge e WHERE e.lineage = r.lineage_id AND e.depth >= r.lineage_depth
    AND NOT EXISTS (
      SELECT FROM dataset_version_files n
      WHERE n.lineage_id = r.lineage_id AND n.component_name = r.component_name
        AND n.lineage_depth > r.lineage_depth AND n.lineage_depth <= e.depth
    ) AND NOT EXISTS (
      SELECT FROM edge nearer JOIN dataset_version_files n
        ON n.lineage_id = nearer.lineage AND n.component_name = r.component_name
        AND n.lineage_depth <= nearer.depth
      WHERE nearer.version = e.version AND nearer.nearness < e.nearness
    )
)`;

/** A row that a sweep has looked at. */
export interface SweptRow {
  readonly version: VersionId;
  readonly path: string;
  /** Nobody needed it: it is deleted. */
  readonly gone: boolean;
  readonly fileId: number | null;
}

/**
 * Deletes what nobody needs of the next rows of some versions, and gives all that it looked at.
 * Parameters: the versions, the version and the name to go on after, how many, and the edge.
 */
export const SWEEP_ROWS = `
  WITH edge AS MATERIALIZED (${edgeTable(5)}),
  batch AS MATERIALIZED (
    SELECT version_id, component_name, lineage_id, lineage_depth FROM dataset_version_files
    WHERE version_id = ANY($1::integer[]) AND (version_id, component_name) > ($2, $3)
    ORDER BY version_id, component_name LIMIT $4
  ), gone AS (
    DELETE FROM dataset_version_files d USING batch r
    WHERE d.version_id = r.version_id AND d.component_name = r.component_name AND NOT ${IS_NEEDED}
    RETURNING d.version_id, d.component_name, d.file_id
  )
  SELECT b.version_id AS version, b.component_name AS path, g.version_id IS NOT NULL AS gone,
    g.file_id AS "fileId"
  FROM batch b LEFT JOIN gone g USING (version_id, component_name)
  ORDER BY b.version_id, b.component_name`;
