import { describeColumn, type TableColumn } from './columns.js';
import { openTable } from './readers/registry.js';
import type { Relation } from './readers/reader.js';
import type { EngineColumn, Session } from './session.js';
import type { ReaderOptions, TableFormat, TableSource } from './source.js';
import { identifier } from './sql-text.js';
import { TableProblem } from './table-problem.js';

/** What is known of a table. */
export interface TableDescription {
  readonly format: TableFormat;
  readonly columns: readonly TableColumn[];
  /** Null while nobody has counted: only reading all of it proves a number. */
  readonly rowCount: number | null;
  /** How it was read, guesses included. */
  readonly options: ReaderOptions;
  readonly guessed: readonly string[];
  readonly sheets: readonly string[] | null;
  /**
   * Whether all its data stand under checksums of its format, and these fit: without them, damage that
   * looks like data cannot be told. Null while nobody has read all of it.
   */
  readonly isChecksummed?: boolean | null;
  /** Types were taken from all of it, since a sample of it misleads. */
  readonly wholeSample: boolean;
}

/** How many columns are counted in one pass. */
const COLUMNS_PER_PASS = 1000;

/**
 * Describes a table; null for a file that is none.
 * @param full reads every value of it: proves the number of rows, and that they are whole
 */
export async function describeTable(
  session: Session,
  source: TableSource,
  full: boolean,
): Promise<TableDescription | null> {
  const relation = await openTable(session, source);
  if (!relation) return null;
  const columns = await session.columns(relation.from);
  checkNames(columns);
  const counts = full ? await countAll(session, relation, columns) : null;
  return {
    format: relation.format,
    columns: columns.map((column, at) =>
      describeColumn(column, counts && (counts.values[at] ?? 0) < counts.rows),
    ),
    rowCount: counts?.rows ?? null,
    options: relation.options,
    guessed: relation.guessed,
    sheets: relation.sheets ?? null,
    isChecksummed: counts && ((await relation.prove?.()) ?? false),
    wholeSample: source.wholeSample,
  };
}

function checkNames(columns: readonly EngineColumn[]): void {
  if (columns.some(({ name }) => name.includes('\0'))) {
    throw new TableProblem('malformed', 'The name of a column has the NUL character in it.');
  }
}

async function countAll(
  session: Session,
  relation: Relation,
  columns: readonly EngineColumn[],
): Promise<{ rows: number; values: number[] }> {
  const values: number[] = [];
  let rows = 0;
  for (let at = 0; at === 0 || at < columns.length; at += COLUMNS_PER_PASS) {
    const some = columns.slice(at, at + COLUMNS_PER_PASS);
    // Counts alone would believe a file's own word for them, or skip values that do not parse: a look
    // at each value has all of it decoded.
    const counts = some.map(({ name }) => `count(${identifier(name)})`);
    const looks = some.map(({ name }) => `bit_xor(hash(${identifier(name)}))`);
    const [count, ...found] = await session.row<string[]>(
      `SELECT ${['count(*)', ...counts, ...looks].join(', ')} FROM ${relation.from}`,
    );
    if (at > 0 && Number(count) !== rows) {
      throw new TableProblem('malformed', 'Its columns differ in their numbers of rows.');
    }
    rows = Number(count);
    values.push(...found.slice(0, some.length).map(Number));
  }
  return { rows, values };
}
