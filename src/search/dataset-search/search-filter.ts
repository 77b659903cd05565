import { MAX_ID, type DatasetId } from '../../core/ids.js';

export const SEARCH_SORTS = [
  'relevance',
  'name',
  '-name',
  'createdAt',
  '-createdAt',
  'updatedAt',
  '-updatedAt',
  'size',
  '-size',
] as const;
export type SearchSort = (typeof SEARCH_SORTS)[number];

/** Which datasets; every filter that is given must be met. */
export interface SearchFilter {
  /** Each of them must be there. */
  readonly tag?: readonly string[];
  /** One of them must be there. */
  readonly fileType?: readonly string[];
  /** A user's name or id. */
  readonly owner?: string;
  readonly minSizeBytes?: number;
  readonly maxSizeBytes?: number;
  readonly createdAfter?: Date;
  readonly createdBefore?: Date;
  readonly updatedAfter?: Date;
  readonly updatedBefore?: Date;
}

/**
 * How words are looked for. `exact`: as they were typed, and their other forms. `similar`: also what
 * they may have been meant for.
 */
export type Reading = 'exact' | 'similar';

/** The last dataset of a page: what it was ordered by, and its id. */
export type SearchCursor = [
  sort: SearchSort,
  reading: Reading,
  key: string | number,
  id: DatasetId,
];

/** Whether a decoded cursor can be of results in this order. */
export function isCursorOf(sort: SearchSort): (value: unknown) => value is SearchCursor {
  return (value): value is SearchCursor => {
    if (!Array.isArray(value) || value.length !== 4 || value[0] !== sort) return false;
    const [, reading, key, id] = value as unknown[];
    const fits = sort.endsWith('name')
      ? typeof key === 'string' && key.length <= 2000 && key.isWellFormed() && !key.includes('\0')
      : typeof key === 'number' && Number.isFinite(key) && Math.abs(key) <= 2 ** 53;
    const isReading = reading === 'exact' || reading === 'similar';
    return fits && isReading && Number.isInteger(id) && Number(id) >= 1 && Number(id) <= MAX_ID;
  };
}
