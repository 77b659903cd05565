import type { SqlPredicate } from '../core/contracts/access-policy.js';
import { MAX_ID, type DatasetId, type UserId } from '../core/ids.js';
import { nameComplaint } from './dataset-rules.js';
import { SELECT_DETAILS, type DatasetDetails } from './datasets.repository.js';

export const DATASET_SORTS = [
  'createdAt',
  '-createdAt',
  'name',
  '-name',
  'updatedAt',
  '-updatedAt',
] as const;
export type DatasetSort = (typeof DATASET_SORTS)[number];

/** Which datasets, and in which order. */
export interface DatasetFilter {
  /** Each of them must be there. */
  readonly tag?: readonly string[];
  /** A user's name or id. */
  readonly owner?: string;
  readonly name?: string;
  /** A part of the name or the description, whatever its case. */
  readonly q?: string;
  readonly createdAfter?: Date;
  readonly createdBefore?: Date;
  /** Deleted datasets that the caller may restore, instead of living ones that it may read. */
  readonly deleted: boolean;
  readonly sort: DatasetSort;
}

/** The last dataset of a page: its sort value (microseconds for times) and its id. */
export type DatasetCursor = [sort: DatasetSort, value: string | number, id: DatasetId];

const SORT_COLUMN = { createdAt: 'created_at', name: 'name', updatedAt: 'updated_at' } as const;
type SortKey = keyof typeof SORT_COLUMN;

const keyOf = (sort: DatasetSort): SortKey => sort.replace('-', '') as SortKey;

/** Whether a decoded cursor can be of a list in this order; what passes is fit for the database. */
export function isCursorOf(sort: DatasetSort): (value: unknown) => value is DatasetCursor {
  return (value): value is DatasetCursor => {
    if (!Array.isArray(value) || value.length !== 3 || value[0] !== sort) return false;
    const [, last, id] = value as unknown[];
    const fits = keyOf(sort) === 'name' ? nameComplaint(last) === null : Number.isSafeInteger(last);
    return fits && Number.isInteger(id) && Number(id) >= 1 && Number(id) <= MAX_ID;
  };
}

/** The cursor of the page after this dataset. */
export function cursorAfter(sort: DatasetSort, dataset: DatasetDetails): DatasetCursor {
  const values = {
    createdAt: Number(dataset.createdMicros),
    name: dataset.name,
    updatedAt: Number(dataset.updatedMicros),
  };
  return [sort, values[keyOf(sort)], dataset.id];
}

/** A user's name or id as two parameters; digits may be either, a number only is an id. */
export function ownerParameters(owner: string | UserId): [name: string | null, id: number | null] {
  if (typeof owner === 'number') return [null, owner];
  const id = /^[1-9]\d{0,9}$/.test(owner) ? Number(owner) : null;
  return [owner, id !== null && id <= MAX_ID ? id : null];
}

/**
 * The statement that reads one page of datasets, in an order that the id makes total: a row is
 * neither skipped nor repeated, whatever is inserted meanwhile and however many share a value.
 * @param visible the condition over `d` under which the caller may see a dataset, given the number
 *   of its first parameter
 */
export function listStatement(
  filter: DatasetFilter,
  page: { after: DatasetCursor | null; limit: number },
  visible: (firstParameter: number) => SqlPredicate,
): { sql: string; parameters: unknown[] } {
  const parameters: unknown[] = [];
  const add = (value: unknown): string => `$${parameters.push(value)}`;
  const time = (micros: number): string =>
    `timestamptz 'epoch' + ${add(micros)}::bigint * interval '1 microsecond'`;
  const predicate = visible(1);
  parameters.push(...predicate.parameters);
  const conditions = [`(${predicate.sql})`];

  if (filter.deleted) {
    conditions.push('d.deleted_at IS NOT NULL AND d.forgotten_at IS NULL');
  } else {
    conditions.push('d.deleted_at IS NULL');
  }
  const tags = [...new Set(filter.tag)];
  if (tags.length > 0) {
    conditions.push(
      `d.id IN (SELECT t.dataset_id FROM dataset_tags t WHERE t.tag_name = ANY(${add(tags)}::text[])
        GROUP BY t.dataset_id HAVING count(*) = ${add(tags.length)})`,
    );
  }
  if (filter.owner !== undefined) {
    const [name, id] = ownerParameters(filter.owner);
    conditions.push(`(u.name = ${add(name)} OR u.id = ${add(id)}::integer)`);
  }
  if (filter.name !== undefined) conditions.push(`d.name = ${add(filter.name)}`);
  if (filter.q !== undefined) {
    // The columns compare by bytes; only an ICU collation knows the case of every script.
    const folded = (text: string) => `lower(${text} COLLATE "und-x-icu")`;
    const part = folded(`${add(filter.q)}::text`);
    conditions.push(
      `(strpos(${folded('d.name')}, ${part}) > 0 OR strpos(${folded('d.description')}, ${part}) > 0)`,
    );
  }
  // Answers show milliseconds: "after" one of them is from the next one on.
  if (filter.createdAfter) {
    conditions.push(`d.created_at >= ${time((filter.createdAfter.getTime() + 1) * 1000)}`);
  }
  if (filter.createdBefore) {
    conditions.push(`d.created_at < ${time(filter.createdBefore.getTime() * 1000)}`);
  }

  const descending = filter.sort.startsWith('-');
  const column = `d.${SORT_COLUMN[keyOf(filter.sort)]}`;
  if (page.after) {
    const [, value, id] = page.after;
    const last = typeof value === 'number' ? time(value) : add(value);
    conditions.push(`(${column}, d.id) ${descending ? '<' : '>'} (${last}, ${add(id)})`);
  }
  const direction = descending ? 'DESC' : 'ASC';
  return {
    sql: `${SELECT_DETAILS} WHERE ${conditions.join(' AND ')}
      ORDER BY ${column} ${direction}, d.id ${direction} LIMIT ${add(page.limit)}`,
    parameters,
  };
}
