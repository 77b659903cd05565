import type { ReportKind } from '../../core/contracts/tables.js';
import type { JsonObject } from '../../core/json.js';
import { logicalType } from './columns.js';
import { profileTable } from './profile.js';
import { openTable } from './readers/registry.js';
import type { EngineColumn, Session } from './session.js';
import type { TableSource } from './source.js';
import { identifier } from './sql-text.js';
import { InvalidRequest } from './table-problem.js';

/** The most columns that are correlated: their pairs grow with the square. */
const MAX_CORRELATED = 100;
const PAIRS_PER_PASS = 500;
const NUMBER = /^(u?int\d+|float\d+|decimal)$/;

/** Writes a report on a table; null for a file that is none. */
export async function reportOn(
  session: Session,
  source: TableSource,
  kind: ReportKind,
): Promise<JsonObject | null> {
  if (kind === 'profile') {
    const profile = await profileTable(session, source, 0);
    return profile && asJson(profile);
  }
  const relation = await openTable(session, source);
  if (!relation) return null;
  const columns = await session.columns(relation.from);
  return kind === 'correlation'
    ? correlations(session, relation.from, columns)
    : quality(session, source, relation.from, columns);
}

const asJson = (value: object): JsonObject => JSON.parse(JSON.stringify(value)) as JsonObject;

/** Pearson's coefficients of all pairs of numeric columns; null where one of them is constant. */
async function correlations(
  session: Session,
  from: string,
  all: readonly EngineColumn[],
): Promise<JsonObject> {
  const columns = all.filter(({ type }) => NUMBER.test(logicalType(type)));
  if (columns.length > MAX_CORRELATED) {
    throw new InvalidRequest(
      `It has ${columns.length} columns of numbers; ${MAX_CORRELATED} can be correlated.`,
    );
  }
  const pairs = columns.flatMap((_, row) => columns.slice(row).map((_, at) => [row, row + at]));
  const matrix = columns.map(() => columns.map((): number | null => null));
  for (let at = 0; at < pairs.length; at += PAIRS_PER_PASS) {
    const some = pairs.slice(at, at + PAIRS_PER_PASS);
    const terms = some.map(([row = 0, column = 0]) => {
      const [a, b] = [columns[row], columns[column]].map((each) => finite(each as EngineColumn));
      return `corr(${a}, ${b})`;
    });
    const found = await session.row<(number | string | null)[]>(
      `SELECT ${terms.join(', ')} FROM ${from}`,
    );
    some.forEach(([row = 0, column = 0], place) => {
      const value = found[place];
      const coefficient = typeof value === 'number' && Number.isFinite(value) ? value : null;
      (matrix[row] as (number | null)[])[column] = coefficient;
      (matrix[column] as (number | null)[])[row] = coefficient;
    });
  }
  return { columns: columns.map(({ name }) => name), matrix };
}

/** Numbers that squares of do not overflow. */
function finite({ name, type }: EngineColumn): string {
  const number = `${identifier(name)}::DOUBLE`;
  return logicalType(type).startsWith('float')
    ? `CASE WHEN abs(${number}) < 1e140 THEN ${number} END`
    : number;
}

/** What is doubtful about a table's data. */
async function quality(
  session: Session,
  source: TableSource,
  from: string,
  columns: readonly EngineColumn[],
): Promise<JsonObject> {
  const profile = await profileTable(session, source, Infinity);
  const rowCount = profile?.rowCount ?? 0;
  const [distinctRows] = await session.row<[string]>(
    `SELECT count(DISTINCT hash(r)) FROM ${from} r`,
  );
  const checks = columns.flatMap((column, at) => {
    const { quantiles } = profile?.columns[at] ?? {};
    return [outliers(column, quantiles ?? null), numbersInText(column)];
  });
  const counts =
    checks.length > 0
      ? await session.row<(string | null)[]>(`SELECT ${checks.join(', ')} FROM ${from}`)
      : [];
  return {
    rowCount,
    duplicateRows: rowCount - Number(distinctRows),
    columns: columns.map(({ name }, at) => {
      const { count = 0, nulls = 0, minimum, maximum } = profile?.columns[at] ?? {};
      const numeric = Number(counts[2 * at + 1] ?? 0);
      return {
        name,
        nulls,
        nullShare: rowCount === 0 ? 0 : nulls / rowCount,
        constant: count > 0 && minimum !== null && minimum === maximum,
        outliers: counts[2 * at] === null ? null : Number(counts[2 * at]),
        mixedTypes: numeric > 0 && numeric < count,
      };
    }),
  };
}

/** How many values lie beyond Tukey's fences: 1.5 times the quartiles' distance away from them. */
function outliers(column: EngineColumn, quantiles: { p25: number; p75: number } | null): string {
  if (!quantiles) return 'NULL';
  const reach = 1.5 * (quantiles.p75 - quantiles.p25);
  const value = finite(column);
  return `count(*) FILTER (${value} < ${quantiles.p25 - reach} OR ${value} > ${quantiles.p75 + reach})`;
}

/** How many texts are numbers: some, but not all, and the column mixes types. */
function numbersInText({ name, type }: EngineColumn): string {
  if (logicalType(type) !== 'string') return 'NULL';
  return `count(*) FILTER (TRY_CAST(${identifier(name)}::VARCHAR AS DOUBLE) IS NOT NULL)`;
}
