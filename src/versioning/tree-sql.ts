import type { PreparedSql } from '../core/contracts/unit-of-work.js';
import type { Segment } from './graph/lineage.js';
import type { ReadPosition } from './position.js';

/**
 * The statements that read a version as one tree, from all the places where its rows lie. Sources
 * are numbered by nearness: of two that know a name, the lower number counts.
 */

/** Rows of one kind in one place. */
export interface Source {
  readonly kind: 'draft' | 'overlay' | 'base';
  /** The version's id for a draft, the lineage's for the others. */
  readonly id: number;
  /** For overlays: rows up to here count. */
  readonly depth: number;
  readonly rows: number;
}

/** The sources of a position, the nearest first. */
export function sourcesOf({ draftId, segments }: ReadPosition): Source[] {
  const draft: Source[] =
    draftId === null ? [] : [{ kind: 'draft', id: draftId, depth: 0, rows: Infinity }];
  return [...draft, ...segments.flatMap(segmentSources)];
}

function segmentSources({ lineageId, depth, rows, baseRows }: Segment): Source[] {
  const sources: Source[] = [];
  if (rows > baseRows)
    sources.push({ kind: 'overlay', id: lineageId, depth, rows: rows - baseRows });
  if (baseRows > 0) sources.push({ kind: 'base', id: lineageId, depth: 0, rows: baseRows });
  return sources;
}

const TABLE = {
  draft: { table: 'dataset_version_files', key: 'version_id' },
  overlay: { table: 'dataset_version_files', key: 'lineage_id' },
  base: { table: 'dataset_lineage_files', key: 'lineage_id' },
} as const;

/** Collects a statement's parameters and gives their places. */
export class Parameters {
  readonly values: unknown[] = [];

  add(value: unknown): string {
    return `$${this.values.push(value)}`;
  }
}

/** Which names a walk visits, and how they fold into common prefixes. */
export interface WalkRange {
  readonly after: string;
  readonly prefix: string;
  readonly end: string | null;
  readonly delimiter: string | null;
  /** What a folded prefix is followed by to get past all its names. */
  readonly pastPrefix: string;
}

/** A name, or a common prefix, that one source knows. */
export interface WalkedRow {
  readonly source: number;
  readonly item: string;
  readonly isPrefix: boolean;
  /** The source has a row that counts for the name (the first name, for a prefix). */
  readonly known: boolean;
  readonly fileId: number | null;
  readonly metadata: unknown;
}

/**
 * Walks each source by a loose index scan: the next name after the last one, by one probe, however
 * often a name was rewritten; a common prefix is passed with one probe, however much is under it.
 * Gives at most `wants[i]` items of source i, in order within it.
 */
export function walkStatement(
  sources: readonly Source[],
  wants: readonly number[],
  range: WalkRange,
): { sql: string; values: unknown[] } {
  const parameters = new Parameters();
  const after = `${parameters.add(range.after)}::text`;
  const prefix = parameters.add(range.prefix);
  const end = range.end === null ? null : parameters.add(range.end);
  const within = `component_name >= ${prefix}${end ? ` AND component_name < ${end}` : ''}`;
  let fold = { item: 'name', isPrefix: 'FALSE', last: 'name' };
  if (range.delimiter !== null) {
    const delimiter = `${parameters.add(range.delimiter)}::text`;
    const start = `char_length(${prefix}::text)`;
    const place = `strpos(substr(name, ${start} + 1), ${delimiter})`;
    const item = `left(name, ${start} + ${place} - 1 + char_length(${delimiter}))`;
    fold = {
      item: `CASE WHEN ${place} = 0 THEN name ELSE ${item} END`,
      isPrefix: `${place} > 0`,
      last: `CASE WHEN ${place} = 0 THEN name ELSE ${item} || ${parameters.add(range.pastPrefix)} END`,
    };
  }
  const arms = (['draft', 'overlay', 'base'] as const).flatMap((kind) => {
    const numbered = sources
      .map((source, number) => ({ source, number }))
      .filter(({ source }) => source.kind === kind);
    if (numbered.length === 0) return [];
    const { table, key } = TABLE[kind];
    const list = (values: number[]) => `${parameters.add(values)}::integer[]`;
    const counts = kind === 'overlay' ? 'AND e.lineage_depth <= s.depth' : '';
    const newest = kind === 'overlay' ? 'ORDER BY e.lineage_depth DESC LIMIT 1' : '';
    const order = kind === 'base' || kind === 'overlay' ? 'lineage_id' : 'version_id';
    const next = (last: string) => `
      SELECT component_name AS name FROM ${table}
      WHERE ${key} = s.id AND component_name > ${last} AND ${within}
      ORDER BY ${order}, component_name LIMIT 1`;
    const step = (count: string) =>
      `SELECT name, ${fold.item}, ${fold.isPrefix}, (${fold.last})::text COLLATE "C", ${count}`;
    return [
      `SELECT s.source, w.item, w.is_prefix, e.component_name IS NOT NULL AS known, e.file_id,
         e.metadata
       FROM unnest(${list(numbered.map(({ source }) => source.id))},
         ${list(numbered.map(({ source }) => source.depth))},
         ${list(numbered.map(({ number }) => number))},
         ${list(numbered.map(({ number }) => wants[number] ?? 1))}) s (id, depth, source, want)
       CROSS JOIN LATERAL (
         WITH RECURSIVE walk (name, item, is_prefix, last, n) AS (
           ${step('1')} FROM (${next(after)}) first
           UNION ALL
           ${step('n + 1')} FROM (
             SELECT next.name, walk.n FROM walk CROSS JOIN LATERAL (${next('walk.last')}) next
             WHERE walk.n < s.want
           ) following
         ) SELECT name, item, is_prefix FROM walk
       ) w
       LEFT JOIN LATERAL (
         SELECT e.component_name, e.file_id, e.metadata FROM ${table} e
         WHERE e.${key} = s.id AND e.component_name = w.name ${counts} ${newest}
       ) e ON TRUE`,
    ];
  });
  return {
    sql: `SELECT source, item, is_prefix AS "isPrefix", known, file_id AS "fileId", metadata
      FROM (${arms.join(' UNION ALL ')}) walked`,
    values: parameters.values,
  };
}

/** Up to so many sources, as nearly all versions have, a lookup is planned once for each kind. */
const PREPARED_SOURCES = 2;

/** What a version has at each of some names; a name that it does not have gives no row. */
export function lookupStatement(
  sources: readonly Source[],
  names: readonly string[],
): { sql: string | PreparedSql; values: unknown[] } {
  const parameters = new Parameters();
  const list = `${parameters.add(names)}::text[]`;
  // Arguments of COALESCE are evaluated in order and only until one is not null: the nearest source
  // that knows the name ends the search.
  const probes = sources.map(({ kind, id, depth }) => {
    const { table, key } = TABLE[kind];
    const newest =
      kind === 'overlay'
        ? `AND lineage_depth <= ${parameters.add(depth)} ORDER BY lineage_depth DESC LIMIT 1`
        : '';
    return `(SELECT jsonb_build_array(file_id, metadata) FROM ${table}
      WHERE ${key} = ${parameters.add(id)} AND component_name = wanted.name ${newest})`;
  });
  // Materialized, or the probes would be repeated for every mention of what they found.
  const text = `WITH probed AS MATERIALIZED (
      SELECT wanted.name, coalesce(${[...probes, 'NULL'].join(', ')}) AS found
      FROM unnest(${list}) wanted (name)
    )
    SELECT name, (found->>0)::integer AS "fileId", nullif(found->1, 'null') AS metadata
    FROM probed WHERE found->>0 IS NOT NULL`;
  const name = `lookup-paths-${sources.map(({ kind }) => kind).join('-')}`;
  return {
    sql: sources.length <= PREPARED_SOURCES ? { name, text } : text,
    values: parameters.values,
  };
}

/**
 * A SELECT of everything in some sources: each name once, with the row that counts.
 * @param removals also the names that are removed there
 */
export function wholeStatement(
  sources: readonly Source[],
  parameters: Parameters,
  removals: boolean,
): string {
  const columns = 'component_name, file_id, component_type, component_index, metadata';
  const arms = sources.map(({ kind, id, depth }, nearness) => {
    const { table, key } = TABLE[kind];
    const place = `${nearness} AS nearness, ${kind === 'overlay' ? 'lineage_depth' : '0'} AS depth`;
    const counts = kind === 'overlay' ? `AND lineage_depth <= ${parameters.add(depth)}` : '';
    return `SELECT ${columns}, ${place} FROM ${table} WHERE ${key} = ${parameters.add(id)} ${counts}`;
  });
  if (arms.length === 0) {
    return `SELECT ${columns} FROM dataset_lineage_files WHERE FALSE`;
  }
  return `SELECT ${columns} FROM (
      SELECT DISTINCT ON (component_name) ${columns} FROM (${arms.join(' UNION ALL ')}) every_row
      ORDER BY component_name, nearness, depth DESC
    ) counted ${removals ? '' : 'WHERE file_id IS NOT NULL'}`;
}
