import { InvalidFilter } from './invalid-filter.js';

/** A column to sort by. */
export interface SortTerm {
  readonly column: string;
  readonly descending: boolean;
}

const NAME = /\s*(?:"((?:[^"]|"")+)"|([^",:]+?))\s*(?::\s*(asc|desc)\s*)?(?:,|$)/iy;

/**
 * Parses names divided by commas; one with a comma, a colon or a quote in it stands in double quotes.
 * @throws InvalidFilter
 */
export function parseColumns(text: string): string[] {
  const names = new Set<string>();
  for (const { column, direction } of parseTerms(text)) {
    if (direction) throw new InvalidFilter('Only orderBy takes asc and desc.');
    if (names.has(column)) throw new InvalidFilter(`${JSON.stringify(column)} is named twice.`);
    names.add(column);
  }
  return [...names];
}

/** Parses names divided by commas, each with `:asc` or `:desc` behind it. @throws InvalidFilter */
export function parseOrder(text: string): SortTerm[] {
  return parseTerms(text).map(({ column, direction }) => ({
    column,
    descending: direction === 'desc',
  }));
}

function parseTerms(text: string): { column: string; direction: string | undefined }[] {
  const terms: { column: string; direction: string | undefined }[] = [];
  for (let at = 0; at < text.length; at = NAME.lastIndex) {
    NAME.lastIndex = at;
    const [, quoted, plain, direction] = NAME.exec(text) ?? [];
    const column = quoted?.replaceAll('""', '"') ?? plain;
    if (column === undefined) {
      throw new InvalidFilter(`There is no name of a column at character ${at + 1} of the list.`);
    }
    terms.push({ column, direction: direction?.toLowerCase() });
  }
  return terms;
}
