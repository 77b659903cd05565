import { createHash } from 'node:crypto';
import path from 'node:path';
import { describeColumn, type TableColumn } from './columns.js';
import { preparedFile } from './plain-text.js';
import { openTable } from './readers/registry.js';
import { RowDiff, type Side } from './row-diff.js';
import { collect } from './rows.js';
import type { Session } from './session.js';
import type { TableSource } from './source.js';
import { literal } from './sql-text.js';
import { InvalidRequest } from './table-problem.js';

/** Which differences of two tables are wanted. */
export interface CompareRequest {
  /** The columns that tell rows apart. */
  readonly key: readonly string[];
  readonly offset: number;
  readonly limit: number;
}

/** A page of the differences of two tables. */
export interface ComparePage {
  readonly key: readonly string[];
  /** Columns that only the head has, and those that only the base has. */
  readonly addedColumns: readonly TableColumn[];
  readonly removedColumns: readonly TableColumn[];
  readonly counts: Readonly<Record<'added' | 'removed' | 'changed', number>>;
  readonly rowCount: number;
  readonly more: boolean;
  /** The differences as a list of JSON, without its brackets. */
  readonly body: Uint8Array;
}

/** A page of wide tables has few rows. */
const MAX_PAGE_CELLS = 200_000;
const MAX_KEY_COLUMNS = 10;

/**
 * Reads a page of the differences of two tables, row by row. Which rows differ is found once for both
 * contents and the key, and kept: a further page only looks its own rows up.
 * @throws InvalidRequest, NotComparable, TableProblem
 */
export async function compareRows(
  session: Session,
  base: TableSource,
  head: TableSource,
  { key, offset, limit }: CompareRequest,
): Promise<ComparePage> {
  if (key.length === 0 || key.length > MAX_KEY_COLUMNS) {
    throw new InvalidRequest(`The key takes one to ${MAX_KEY_COLUMNS} columns.`);
  }
  const [was, is] = [await sideOf(session, base), await sideOf(session, head)];
  const diff = new RowDiff(was, is, key);
  const file = await preparedFile(keptAt(base, head, diff.key), async (target) => {
    await diff.requireUnique(session);
    await session.run(
      `COPY (SELECT row_number() OVER () AS place, * FROM (${diff.keysSelect()}))
       TO ${literal(target)} (FORMAT parquet, COMPRESSION zstd)`,
    );
  });
  const from = `read_parquet(${literal(file)})`;
  const counted = await session.rows<[string, string]>(
    `SELECT "change", count(*) FROM ${from} GROUP BY ALL`,
  );
  const most = Math.max(1, Math.min(limit, Math.floor(MAX_PAGE_CELLS / diff.width)));
  // One more than the page has, to know whether there are more.
  await session.run(
    `CREATE TEMP TABLE shown AS SELECT * FROM ${from} WHERE place > ${offset} ORDER BY place LIMIT ${most + 1}`,
  );
  return {
    key: diff.key,
    addedColumns: missingIn(was, is),
    removedColumns: missingIn(is, was),
    counts: countsOf(counted),
    ...(await collect(session.texts(diff.itemSelect('shown')), most, ',', '')),
  };
}

async function sideOf(session: Session, source: TableSource): Promise<Side> {
  const relation = await openTable(session, source);
  if (!relation) throw new InvalidRequest(`${JSON.stringify(source.name)} is no table.`);
  return { from: relation.from, columns: await session.columns(relation.from) };
}

/** Named by both contents, and by all that decides what differs. */
function keptAt(base: TableSource, head: TableSource, key: readonly string[]): string {
  const read = [base, head].map(({ name, mimeType, options, wholeSample }) => {
    return [name, mimeType, options, wholeSample];
  });
  const how = createHash('sha256')
    .update(JSON.stringify([read, key]))
    .digest('hex');
  return `${head.prepared}-${path.basename(base.prepared)}.rows-${how.slice(0, 16)}.parquet`;
}

function countsOf(counted: readonly (readonly [string, string])[]): ComparePage['counts'] {
  const counts = new Map(counted.map(([change, count]) => [change, Number(count)]));
  const of = (change: string) => counts.get(change) ?? 0;
  return { added: of('added'), removed: of('removed'), changed: of('changed') };
}

function missingIn(there: Side, here: Side): TableColumn[] {
  const names = new Set(there.columns.map(({ name }) => name));
  return here.columns
    .filter(({ name }) => !names.has(name))
    .map((column) => describeColumn(column, null));
}
