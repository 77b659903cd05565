import type { SampleMethod, TableFileFormat } from '../../core/contracts/tables.js';
import { textOf } from '../schema/schema-diff.js';
import { describeColumn, logicalType } from './columns.js';
import { findColumn } from './filter-sql.js';
import { rowNumberOf } from './numbered-rows.js';
import { writeResult } from './output.js';
import { openTable } from './readers/registry.js';
import { RowDiff } from './row-diff.js';
import { sampleSelect } from './sample.js';
import type { EngineColumn, Session } from './session.js';
import type { TableSource } from './source.js';
import { InvalidRequest } from './table-problem.js';

/** A table to be made, as a worker is told of it. */
export interface ProduceRequest {
  readonly work:
    | { readonly kind: 'sample'; readonly method: SampleMethod }
    | { readonly kind: 'diff'; readonly key: readonly string[] };
  /** Of a difference: what was, and what is. */
  readonly tables: readonly TableSource[];
  readonly format: TableFileFormat;
  readonly output: string;
}

/** Makes a table of others and writes it. @throws InvalidRequest, NotComparable, TableProblem */
export async function produceTable(session: Session, request: ProduceRequest): Promise<void> {
  const { work, tables, format, output } = request;
  const opened = [];
  for (const source of tables) {
    const relation = await openTable(session, source);
    if (!relation) throw new InvalidRequest(`${JSON.stringify(source.name)} is no table.`);
    const columns = await session.columns(relation.from);
    opened.push({ from: relation.from, rowNumber: rowNumberOf(relation, columns), columns });
  }
  const [first, second] = opened;
  if (!first) throw new InvalidRequest('There is no table to read.');
  let select: string;
  if (work.kind === 'sample') {
    requireAlike(opened.map(({ columns }) => columns));
    requireTimes(first.columns, work.method);
    select = await sampleSelect(session, opened, first.columns, work.method);
  } else {
    if (!second) throw new InvalidRequest('A comparison needs two tables.');
    const diff = new RowDiff(first, second, work.key);
    await diff.requireUnique(session);
    select = diff.tableSelect();
  }
  const columns = await session.columns(`(${select})`);
  await writeResult(session, select, columns, format, output);
}

const TIMES = new Set(['date', 'timestamp', 'timestamptz']);

/** @throws InvalidRequest where a range of time is taken by a column that has no times */
function requireTimes(columns: readonly EngineColumn[], method: SampleMethod): void {
  if (method.kind !== 'time-range') return;
  const { name, type } = findColumn(columns, method.column);
  const kind = logicalType(type);
  if (TIMES.has(kind)) return;
  throw new InvalidRequest(
    `${JSON.stringify(name)} is of type ${kind}; a range of time takes a column of dates or timestamps.`,
  );
}

/** @throws InvalidRequest where tables that are to be read as one have other columns */
function requireAlike(tables: readonly (readonly EngineColumn[])[]): void {
  const shapes = tables.map((columns) =>
    columns.map((column) => `${column.name}: ${textOf(describeColumn(column, null))}`).join(', '),
  );
  const other = shapes.find((shape) => shape !== shapes[0]);
  if (other !== undefined) {
    throw new InvalidRequest(`The tables differ in their columns: ${shapes[0]}; ${other}.`);
  }
}
