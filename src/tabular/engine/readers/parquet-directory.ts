import { logicalType } from '../columns.js';
import type { EngineColumn, Session } from '../session.js';
import { identifier, literal } from '../sql-text.js';
import { TableProblem } from '../table-problem.js';
import { checkPages, type ColumnChunk } from './parquet-pages.js';

/** Types whose statistics are exact bounds in every writer's files. */
const BOUNDED = /^(int(8|16|32|64)|float(32|64)|date)$/;
const NESTED = new Set(['list', 'struct', 'map']);
const COLUMNS_PER_PASS = 500;

interface Chunk extends ColumnChunk {
  readonly groupRows: number;
}

/**
 * Holds what a Parquet file's directory says against its pages, without decoding them: an engine counts
 * rows by the directory, and takes whatever lies where a page should for one.
 * @param withChecksums see `checkPages`
 * @throws TableProblem
 */
export async function checkDirectory(
  session: Session,
  path: string,
  withChecksums: boolean,
): Promise<boolean | null> {
  const from = `(${literal(path)})`;
  const [said] = await session.row<[string]>(`SELECT num_rows FROM parquet_file_metadata${from}`);
  const groups = await session.rows<[string]>(
    `SELECT DISTINCT ON (row_group_id) row_group_num_rows FROM parquet_metadata${from}`,
  );
  const rows = groups.reduce((sum, [inGroup]) => sum + Number(inGroup), 0);
  if (rows !== Number(said)) {
    throw new TableProblem(
      'malformed',
      `It says that it has ${said} rows; its groups of rows have ${rows}.`,
    );
  }
  const columns = await session.columns(`read_parquet${from}`);
  const flat = columns.every(({ type }) => !NESTED.has(logicalType(type)));
  const chunks = await chunksOf(session, from);
  for (const { column, values, groupRows } of chunks) {
    if (flat && values !== groupRows) {
      throw new TableProblem(
        'malformed',
        `The column ${JSON.stringify(column)} has ${values} values for ${groupRows} rows.`,
      );
    }
  }
  return checkPages(path, chunks, withChecksums);
}

async function chunksOf(session: Session, from: string): Promise<Chunk[]> {
  const found = await session.rows<[string, string, string, string, string, string | null]>(
    `SELECT path_in_schema, row_group_num_rows, num_values, compression, data_page_offset,
       dictionary_page_offset
     FROM parquet_metadata${from}`,
  );
  return found.map(([column, groupRows, values, compression, data, dictionary]) => {
    // Some writers say 0 where there is no dictionary.
    const before = Number(dictionary ?? 0);
    return {
      column,
      groupRows: Number(groupRows),
      values: Number(values),
      isCompressed: compression !== 'UNCOMPRESSED',
      offset: before > 0 ? Math.min(before, Number(data)) : Number(data),
    };
  });
}

/**
 * Holds the values that were read against the bounds that the file itself says they keep: a hole in pages
 * without checksums reads as zeros.
 * @throws TableProblem
 */
export async function checkBounds(session: Session, path: string): Promise<void> {
  const from = `(${literal(path)})`;
  const columns = await session.columns(`read_parquet${from}`);
  const bounded = columns.filter(({ type }) => BOUNDED.test(logicalType(type)));
  for (let at = 0; at < bounded.length; at += COLUMNS_PER_PASS) {
    const some = bounded.slice(at, at + COLUMNS_PER_PASS);
    const terms = some.flatMap(({ name, type }) => {
      const column = identifier(name);
      const isNumber = logicalType(type).startsWith('float') ? `FILTER (NOT isnan(${column}))` : '';
      // A hash has every value decoded: the engine would answer bounds from the directory itself.
      return [
        `min(${column}) ${isNumber}`,
        `max(${column}) ${isNumber}`,
        `bit_xor(hash(${column}))`,
      ];
    });
    const [found] = await session.rows<(string | number | null)[]>(
      `SELECT ${terms.map((term) => `(${term})::VARCHAR`).join(', ')} FROM read_parquet${from}`,
    );
    for (const [place, column] of some.entries()) {
      const [low, high] = (found ?? []).slice(3 * place, 3 * place + 2);
      await checkColumn(session, from, column, low ?? null, high ?? null);
    }
  }
}

async function checkColumn(
  session: Session,
  from: string,
  { name, type }: EngineColumn,
  low: string | number | null,
  high: string | number | null,
): Promise<void> {
  if (low === null || high === null) return;
  const as = type.toString();
  const bound = (which: string) => `TRY_CAST(stats_${which}_value AS ${as})`;
  const [isOutside] = await session.row<[boolean | null]>(
    `SELECT bool_and(${bound('min')} IS NOT NULL AND ${bound('max')} IS NOT NULL)
       AND ($2::${as} < min(${bound('min')}) OR $3::${as} > max(${bound('max')}))
     FROM parquet_metadata${from} WHERE path_in_schema = $1 AND num_values > coalesce(stats_null_count, 0)`,
    [name, String(low), String(high)],
  );
  if (isOutside === true) {
    throw new TableProblem(
      'malformed',
      `The column ${JSON.stringify(name)} has values that its own statistics rule out: its pages are damaged.`,
    );
  }
}
