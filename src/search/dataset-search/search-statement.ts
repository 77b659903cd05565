import type { SqlPredicate } from '../../core/contracts/access-policy.js';
import { MAX_ID, type DatasetId } from '../../core/ids.js';
import type { SearchCursor, SearchFilter, SearchSort } from './search-filter.js';

/**
 * How many matches are ranked, counted and told apart in facets. Where there are more, the count is
 * a lower bound, and those that match by their name or tags are ranked first.
 */
export const MOST_MATCHES = 5_000;
const FACET_VALUES = 20;

/** A page of matches, and what all of them come to. */
export interface FoundMatches {
  /** Up to one more than `MOST_MATCHES`. */
  readonly total: number;
  readonly page: readonly { readonly id: DatasetId; readonly key: string | number }[];
  readonly tags: readonly FacetCount[];
  readonly fileTypes: readonly FacetCount[];
  readonly owners: readonly FacetCount[];
}

export interface FacetCount {
  readonly value: string;
  readonly count: number;
}

/** What is looked for: the text of a `tsquery`, and of one whose matches count in full. */
export interface Wanted {
  readonly query: string;
  readonly exact: string;
}

export interface SearchPage {
  readonly sort: SearchSort;
  readonly after: SearchCursor | null;
  readonly limit: number;
}

/**
 * The documents as rows that can be asked who may read them: by their id, which is the dataset's.
 * Permissions and deletions are looked up in their own tables, so both count at once; a join to all
 * datasets would cost with their number.
 */
export const DOCUMENTS = '(SELECT dataset_id AS id, * FROM search_documents) d';
export const LIVING = `NOT EXISTS (SELECT FROM datasets gone
  WHERE gone.id = d.id AND gone.deleted_at IS NOT NULL)`;

/** Names and tags count most, then descriptions and columns, metadata and paths, READMEs. */
const WEIGHTS = '{0.1, 0.25, 0.5, 1}';

const MICROS = (column: string) => `(extract(epoch FROM ${column}) * 1000000)::bigint`;

/** What each order goes by, as it is read, and as a cursor's parameter is compared to it. */
const KEYS = {
  name: { column: 'd.folded_name', shown: 'd.folded_name', given: (place: string) => place },
  createdAt: timeKey('d.created_at'),
  updatedAt: timeKey('d.updated_at'),
  size: {
    column: 'd.total_size',
    shown: 'd.total_size',
    given: (place: string) => `${place}::bigint`,
  },
} as const;

function timeKey(column: string) {
  return {
    column,
    shown: MICROS(column),
    given: (place: string) => `timestamptz 'epoch' + ${place}::bigint * interval '1 microsecond'`,
  };
}

/**
 * One statement for a page of matches, their count and their facets. Every part of it sees only what
 * the caller may read.
 * @param readable the caller's predicate over `d`, given the number of its first parameter
 * @param broad there are more matches than are ranked: names and tags go first
 */
export function searchStatement(
  wanted: Wanted | null,
  filter: SearchFilter,
  page: SearchPage,
  readable: (firstParameter: number) => SqlPredicate,
  broad: boolean,
): { sql: string; parameters: unknown[] } {
  const predicate = readable(1);
  const parameters: unknown[] = [...predicate.parameters];
  const add = (value: unknown): string => `$${parameters.push(value)}`;
  const conditions = [LIVING, `(${predicate.sql})`, ...filtering(filter, add)];
  const query = wanted && `${add(wanted.query)}::tsquery`;
  const score = wanted && query ? scoreOf(wanted, query, add) : '0::real';
  const from = (match: string[]) => `
    FROM ${DOCUMENTS} WHERE ${[...match, ...conditions].join(' AND ')}`;
  const columns = 'd.id, d.tags, d.file_types, d.owner_id';
  const limit = MOST_MATCHES + 1;
  const inDocument = query ? [`d.document @@ ${query}`] : [];
  const candidates =
    broad && query
      ? `SELECT DISTINCT ON (id) * FROM (
           (SELECT ${columns}, ${score} AS key ${from([`d.title @@ ${query}`])} LIMIT ${limit})
           UNION ALL
           (SELECT ${columns}, ${score} AS key ${from(inDocument)} LIMIT ${limit})
         ) either`
      : `SELECT ${columns}, ${score} AS key ${from(inDocument)} LIMIT ${limit}`;
  const facet = (values: string) => `
    coalesce((SELECT json_agg(json_build_object('value', value, 'count', count))
      FROM (SELECT value, count(*)::integer AS count
        FROM (SELECT unnest(${values}) AS value FROM matched) each_value
        GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT ${FACET_VALUES}) counted), '[]')`;
  return {
    sql: `WITH matched AS MATERIALIZED (${candidates}),
      page AS (${pageOf(page, () => from(inDocument), add)})
      SELECT least((SELECT count(*) FROM matched), ${limit})::integer AS total,
        coalesce((SELECT json_agg(json_build_object('id', id, 'key', shown) ORDER BY place)
          FROM page), '[]') AS page,
        ${facet('tags')} AS tags,
        ${facet('file_types')} AS "fileTypes",
        coalesce((SELECT json_agg(json_build_object('value', u.name, 'count', count)
            ORDER BY count DESC, u.name)
          FROM (SELECT owner_id, count(*)::integer AS count FROM matched
            GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT ${FACET_VALUES}) counted
          JOIN users u ON u.id = owner_id), '[]') AS owners`,
    parameters,
  };
}

function scoreOf(wanted: Wanted, query: string, add: (value: unknown) => string): string {
  const rank = `ts_rank('${WEIGHTS}', d.document, ${query})`;
  if (wanted.exact === wanted.query) return rank;
  // What was typed comes before what it may have been meant for.
  const exact = `${add(wanted.exact)}::tsquery`;
  return `(${rank} * CASE WHEN d.document @@ ${exact} THEN 1 ELSE 0.5 END)::real`;
}

function pageOf(
  { sort, after, limit }: SearchPage,
  from: () => string,
  add: (value: unknown) => string,
): string {
  const place = 'row_number() OVER () AS place';
  if (sort === 'relevance') {
    const from = after
      ? `WHERE (key, id) < (${add(after[2])}::real, ${add(after[3])}::integer)`
      : '';
    return `SELECT id, key AS shown, ${place} FROM (
      SELECT id, key FROM matched ${from} ORDER BY key DESC, id DESC LIMIT ${add(limit)}) ranked`;
  }
  const descending = sort.startsWith('-');
  const { column, shown, given } = KEYS[sort.replace('-', '') as keyof typeof KEYS];
  const beyond = after
    ? `AND (${column}, d.id) ${descending ? '<' : '>'}
         (${given(add(after[2]))}, ${add(after[3])}::integer)`
    : '';
  const direction = descending ? 'DESC' : 'ASC';
  return `SELECT id, shown, ${place} FROM (
    SELECT d.id, ${shown} AS shown ${from()} ${beyond}
    ORDER BY ${column} ${direction}, d.id ${direction} LIMIT ${add(limit)}) sorted`;
}

function filtering(filter: SearchFilter, add: (value: unknown) => string): string[] {
  const conditions: string[] = [];
  if (filter.tag?.length) conditions.push(`d.tags @> ${add(filter.tag)}::text[]`);
  if (filter.fileType?.length) conditions.push(`d.file_types && ${add(filter.fileType)}::text[]`);
  if (filter.owner !== undefined) {
    const id = /^[1-9]\d{0,9}$/.test(filter.owner) ? Number(filter.owner) : null;
    conditions.push(`d.owner_id IN (SELECT u.id FROM users u
      WHERE u.name = ${add(filter.owner)} OR u.id = ${add(id !== null && id <= MAX_ID ? id : null)}::integer)`);
  }
  if (filter.minSizeBytes !== undefined) {
    conditions.push(`d.total_size >= ${add(filter.minSizeBytes)}::bigint`);
  }
  if (filter.maxSizeBytes !== undefined) {
    conditions.push(`d.total_size <= ${add(filter.maxSizeBytes)}::bigint`);
  }
  // Answers show milliseconds: "after" one of them is from the next one on.
  const next = (time: Date) => new Date(time.getTime() + 1);
  if (filter.createdAfter) {
    conditions.push(`d.created_at >= ${add(next(filter.createdAfter))}::timestamptz`);
  }
  if (filter.createdBefore) {
    conditions.push(`d.created_at < ${add(filter.createdBefore)}::timestamptz`);
  }
  if (filter.updatedAfter) {
    conditions.push(`d.updated_at >= ${add(next(filter.updatedAfter))}::timestamptz`);
  }
  if (filter.updatedBefore) {
    conditions.push(`d.updated_at < ${add(filter.updatedBefore)}::timestamptz`);
  }
  return conditions;
}
