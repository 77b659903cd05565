import type { Condition } from '../where/parse.js';
import { arrowStream } from './arrow-output.js';
import { describeColumn, type TableColumn } from './columns.js';
import { checkValues, filterSql, findColumn, type FilterSql } from './filter-sql.js';
import { rowNumberOf } from './numbered-rows.js';
import { csvColumns, jsonSelection } from './projection.js';
import type { Relation } from './readers/reader.js';
import { openTable } from './readers/registry.js';
import type { EngineColumn, Session } from './session.js';
import type { TableSource } from './source.js';
import { identifier } from './sql-text.js';
import { InvalidRequest } from './table-problem.js';

/** Which rows of a table are wanted. */
export interface RowsRequest {
  /** Null for all. */
  readonly columns: readonly string[] | null;
  readonly where: Condition | null;
  readonly orderBy: readonly { readonly column: string; readonly descending: boolean }[];
  readonly offset: number;
  readonly limit: number;
  readonly format: 'json' | 'csv' | 'arrow';
}

/** A page of rows. */
export interface RowsPage {
  readonly columns: readonly TableColumn[];
  readonly rowCount: number;
  /** There are rows after these. */
  readonly more: boolean;
  /** Of JSON: the rows as a list, without its brackets. Otherwise the whole page in its format. */
  readonly body: Uint8Array;
}

const EVERY_ROW: FilterSql = { sql: 'TRUE', parameters: [], casts: [] };

/** A page may have few rows where they are this large. */
const MAX_PAGE_BYTES = 32 * 1024 * 1024;

/** Reads a page of rows; null for a file that is no table. */
export async function readRows(
  session: Session,
  source: TableSource,
  request: RowsRequest,
): Promise<RowsPage | null> {
  const relation = await openTable(session, source);
  if (!relation) return null;
  const all = await session.columns(relation.from);
  const columns = request.columns?.map((name) => findColumn(all, name)) ?? all;
  if (new Set(columns).size < columns.length) throw new InvalidRequest('A column is named twice.');
  const filter = request.where ? filterSql(request.where, all) : EVERY_ROW;
  await checkValues(session, filter);
  const inner = `SELECT ${columns.map(({ name }) => identifier(name)).join(', ')}
    FROM ${chosen(request, relation, all, filter)}`;
  const described = columns.map((column) => describeColumn(column, null));
  const write = { json: jsonPage, csv: csvPage, arrow: arrowPage }[request.format];
  const page = await write(session, inner, columns, filter.parameters, request.limit);
  return { columns: described, ...page };
}

type Written = Omit<RowsPage, 'columns'>;

/**
 * The clauses that choose a page's rows, and one more. By their numbers, where the table's reader numbers
 * them and all are wanted as they stand: then it passes over what it need not read.
 */
function chosen(
  request: RowsRequest,
  relation: Relation,
  columns: readonly EngineColumn[],
  filter: FilterSql,
): string {
  const { where, orderBy, offset, limit } = request;
  const rowNumber = rowNumberOf(relation, columns);
  if (rowNumber !== null && where === null && orderBy.length === 0) {
    // The limit is reached with the last of them, and keeps the pages behind it from being decompressed.
    return `${relation.from} WHERE ${rowNumber} BETWEEN ${offset} AND ${offset + limit}
      LIMIT ${limit + 1}`;
  }
  return `${numbered(relation.from, request)} WHERE ${filter.sql} ${orderOf(request, columns)}
    LIMIT ${limit + 1} OFFSET ${offset}`;
}

/** Ties are broken by the rows' own order, so that pages neither repeat rows nor lose any. */
function numbered(from: string, { orderBy }: RowsRequest): string {
  if (orderBy.length === 0) return from;
  return `(SELECT *, row_number() OVER () AS "varve row" FROM ${from})`;
}

function orderOf({ orderBy }: RowsRequest, columns: readonly EngineColumn[]): string {
  if (orderBy.length === 0) return '';
  const terms = orderBy.map(({ column, descending }) => {
    const { name } = findColumn(columns, column);
    return `${identifier(name)} ${descending ? 'DESC' : 'ASC'} NULLS LAST`;
  });
  return `ORDER BY ${[...terms, '"varve row"'].join(', ')}`;
}

async function jsonPage(
  session: Session,
  inner: string,
  columns: readonly EngineColumn[],
  parameters: readonly string[],
  limit: number,
): Promise<Written> {
  const sql = `SELECT to_json(r)::VARCHAR FROM (SELECT ${jsonSelection(columns)} FROM (${inner})) r`;
  return collect(session.texts(sql, parameters), limit, ',', '');
}

async function csvPage(
  session: Session,
  inner: string,
  columns: readonly EngineColumn[],
  parameters: readonly string[],
  limit: number,
): Promise<Written> {
  const cells = csvColumns(columns);
  const quoted = cells.map(
    ({ sql }) =>
      `CASE WHEN (${sql}) IS NULL THEN '' ELSE '"' || replace((${sql})::VARCHAR, '"', '""') || '"' END`,
  );
  const sql = `SELECT concat_ws(',', ${quoted.join(', ')}) FROM (${inner})`;
  const names = cells.map(({ name }) => `"${name.replaceAll('"', '""')}"`).join(',');
  return collect(session.texts(sql, parameters), limit, '\r\n', `${names}\r\n`, '\r\n');
}

async function arrowPage(
  session: Session,
  inner: string,
  columns: readonly EngineColumn[],
  parameters: readonly string[],
  limit: number,
): Promise<Written> {
  const body: Uint8Array[] = [];
  let rowCount = 0;
  const sql = `SELECT * FROM (${inner})`;
  const chunks = arrowStream(session, sql, columns, parameters, {
    maximumRows: limit,
    onRows: (count) => (rowCount = count),
  });
  for await (const pieces of chunks) body.push(Buffer.concat(pieces));
  return {
    rowCount: Math.min(rowCount, limit),
    more: rowCount > limit,
    body: Buffer.concat(body),
  };
}

/**
 * Takes as many texts as a page has, and sees whether there are more.
 * @param texts no more than one beyond the limit
 * @param before what stands before them all, as `after` behind them where there are any
 */
export async function collect(
  texts: AsyncIterable<string | null>,
  limit: number,
  separator: string,
  before: string,
  after = '',
): Promise<Written> {
  const rows: string[] = [];
  let bytes = 0;
  let more = false;
  for await (const text of texts) {
    more = rows.length === limit;
    // Read to its end, which is one row away, a result leaves nothing behind in the engine.
    if (more) continue;
    more = rows.length > 0 && bytes > MAX_PAGE_BYTES;
    if (more) break;
    rows.push(text ?? '');
    bytes += text?.length ?? 0;
  }
  const body = before + rows.join(separator) + (rows.length > 0 ? after : '');
  return { rowCount: rows.length, more, body: Buffer.from(body) };
}
