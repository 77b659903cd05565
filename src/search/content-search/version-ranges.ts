import type { Reader } from '../../core/contracts/unit-of-work.js';
import type { Sha256 } from '../../core/ids.js';

/** Versions of one line, each the parent of the next, from the first to the last that is kept. */
export interface VersionRange {
  readonly first: VersionName;
  readonly last: VersionName;
}

export interface VersionName {
  readonly versionNumber: number;
  readonly digest: Sha256;
}

/** A row of a version's overlay: from this depth of its lineage on, the path has a content. */
export interface OverlayPlace {
  readonly lineageId: number;
  readonly depth: number;
  readonly path: string;
}

/** So many ranges of a place are told. */
export const MOST_RANGES = 20;

interface RangeRow extends VersionRange {
  /** Which of the places, from 1. */
  readonly place: string;
}

/**
 * The versions that have what was put at each place. On its own lineage these are the ones up to the
 * next row for the path. A lineage that is read through one of them, or that starts as a copy of one,
 * has it, too, up to its own first row for the path.
 */
export async function rangesOf(
  tx: Reader,
  places: readonly OverlayPlace[],
): Promise<{ ranges: VersionRange[]; hasMore: boolean }[]> {
  const rows = await tx.query<RangeRow>(
    `SELECT p.place, json_build_object('versionNumber', f.version_number, 'digest', f.digest) AS first,
       json_build_object('versionNumber', t.version_number, 'digest', t.digest) AS last
     FROM unnest($1::integer[], $2::integer[], $3::text[])
       WITH ORDINALITY p (lineage_id, depth, path, place)
     CROSS JOIN LATERAL (
       WITH RECURSIVE held (lineage_id, depth, past) AS (
         SELECT p.lineage_id, p.depth, ${nextRow('p.lineage_id', 'p.depth')}
         UNION ALL
         SELECT grown.id, 0, ${nextRow('grown.id', '0')}
         FROM held CROSS JOIN LATERAL (
           SELECT l.id FROM dataset_lineages l
           WHERE l.ancestor_lineages[1] = held.lineage_id AND l.ancestor_depths[1] >= held.depth
             AND (held.past IS NULL OR l.ancestor_depths[1] < held.past)
           UNION ALL
           SELECT v.snapshot_lineage_id FROM dataset_versions v
           WHERE v.lineage_id = held.lineage_id AND v.snapshot_lineage_id IS NOT NULL
             AND v.lineage_depth >= held.depth
             AND (held.past IS NULL OR v.lineage_depth < held.past)
         ) grown
       )
       SELECT held.lineage_id, held.depth, held.past FROM held
       -- A lineage may have been overwritten at once, be there to be read from only, or have lost
       -- its versions.
       WHERE EXISTS (SELECT FROM dataset_versions v WHERE v.lineage_id = held.lineage_id
         AND v.status = 'committed' AND v.lineage_depth >= held.depth AND (held.past IS NULL OR v.lineage_depth < held.past))
       LIMIT ${MOST_RANGES + 1}
     ) h
     CROSS JOIN LATERAL (
       SELECT v.version_number, v.digest FROM dataset_versions v
       WHERE v.lineage_id = h.lineage_id AND v.status = 'committed' AND v.lineage_depth >= h.depth
       ORDER BY v.lineage_depth LIMIT 1
     ) f
     CROSS JOIN LATERAL (
       SELECT v.version_number, v.digest FROM dataset_versions v
       WHERE v.lineage_id = h.lineage_id AND v.status = 'committed' AND (h.past IS NULL OR v.lineage_depth < h.past)
       ORDER BY v.lineage_depth DESC LIMIT 1
     ) t
     ORDER BY p.place, f.version_number`,
    [
      places.map(({ lineageId }) => lineageId),
      places.map(({ depth }) => depth),
      places.map(({ path }) => path),
    ],
  );
  return places.map((_, index) => {
    const own = rows.filter(({ place }) => Number(place) === index + 1);
    return {
      ranges: own.slice(0, MOST_RANGES).map(({ first, last }) => ({ first, last })),
      hasMore: own.length > MOST_RANGES,
    };
  });
}

/** At which depth after another the path has its next row; null where it has none. */
function nextRow(lineage: string, depth: string): string {
  return `(SELECT min(e.lineage_depth) FROM dataset_version_files e
    WHERE e.lineage_id = ${lineage} AND e.component_name = p.path AND e.lineage_depth > ${depth})`;
}
