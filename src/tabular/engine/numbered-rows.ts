import type { Relation } from './readers/reader.js';
import type { EngineColumn, Session } from './session.js';

/** The column that holds a row's number, from 1. */
export const ROW = '"varve row"';

/** A table whose rows are numbered: by its reader, or else by counting them. */
export interface NumberedTable {
  readonly from: string;
  readonly rowNumber: string | null;
}

/** What numbers a table's rows, unless a column of its own is called the same. */
export function rowNumberOf(
  { rowNumber }: Pick<Relation, 'rowNumber'>,
  columns: readonly EngineColumn[],
): string | null {
  const isHidden = columns.some(({ name }) => name.toLowerCase() === rowNumber);
  return isHidden ? null : (rowNumber ?? null);
}

/**
 * Tables of the same columns as one, each row with its number. Where files number their rows themselves
 * they are read on all threads: counting goes from the first row to the last.
 */
export async function numberedRows(
  session: Session,
  tables: readonly NumberedTable[],
): Promise<string> {
  if (tables.some(({ rowNumber }) => rowNumber === null)) {
    return `(SELECT *, row_number() OVER () AS ${ROW} FROM (${union(tables, '*')}))`;
  }
  let before = 0;
  const selects: string[] = [];
  for (const table of tables) {
    selects.push(union([table], `*, ${table.rowNumber} + ${before + 1} AS ${ROW}`));
    if (tables.length > 1) before += await rowCount(session, [table]);
  }
  return `(${selects.join(' UNION ALL ')})`;
}

/** How many rows some tables have together. */
export async function rowCount(
  session: Session,
  tables: readonly NumberedTable[],
): Promise<number> {
  const [count] = await session.row<[string]>(`SELECT count(*) FROM (${union(tables, '1')})`);
  return Number(count);
}

function union(tables: readonly NumberedTable[], what: string): string {
  return tables.map(({ from }) => `SELECT ${what} FROM ${from}`).join(' UNION ALL ');
}
