import type { SampleMethod } from '../../core/contracts/tables.js';
import { findColumn } from './filter-sql.js';
import { ROW, numberedRows, rowCount, type NumberedTable } from './numbered-rows.js';
import type { EngineColumn, Session } from './session.js';
import { identifier, literal } from './sql-text.js';

/**
 * The SELECT that chooses rows of tables of the same columns. Chance is a hash of each row's number and
 * the seed: every set of rows is as likely, however few, on any number of threads, and the same seed
 * chooses the same.
 * @throws InvalidFilter for columns that are not there
 */
export async function sampleSelect(
  session: Session,
  tables: readonly NumberedTable[],
  columns: readonly EngineColumn[],
  method: SampleMethod,
): Promise<string> {
  const numbered = await numberedRows(session, tables);
  const names = columns.map(({ name }) => identifier(name)).join(', ');
  const inOrder = (rows: string) => `SELECT ${names} FROM (${rows}) ORDER BY ${ROW}`;
  switch (method.kind) {
    case 'random':
      return inOrder(random(numbered, await rowCount(session, tables), method));
    case 'bernoulli':
      return inOrder(
        `SELECT * FROM ${numbered} WHERE ${chance(method.seed)}::DOUBLE < ${method.share * 2 ** 64}`,
      );
    case 'systematic':
      return inOrder(
        `SELECT * FROM ${numbered} WHERE (${ROW} - 1) % ${method.every} = ${method.start}`,
      );
    case 'stratified':
      return inOrder(stratified(numbered, columns, method));
    case 'first':
      return `SELECT ${names} FROM ${numbered} LIMIT ${method.rows}`;
    case 'top': {
      const column = identifier(findColumn(columns, method.column).name);
      const direction = method.descending ? 'DESC' : 'ASC';
      return `SELECT ${names} FROM ${numbered} ORDER BY ${column} ${direction} NULLS LAST, ${ROW} LIMIT ${method.rows}`;
    }
    case 'time-range': {
      const { name, type } = findColumn(columns, method.column);
      const bound = (sign: string, time: string | null) =>
        time === null
          ? 'TRUE'
          : `${identifier(name)} ${sign} CAST(${literal(time)} AS ${type.toString()})`;
      return inOrder(
        `SELECT * FROM ${numbered} WHERE ${bound('>=', method.from)} AND ${bound('<', method.to)}`,
      );
    }
  }
}

/**
 * A number from 0 to 2^64 that looks like chance. Hashed twice: the first hash of two values is one of
 * each, put together by an exclusive or, under which rows that are close stay close for every seed.
 */
function chance(seed: number): string {
  return `hash(hash(${ROW}, ${seed}::BIGINT))`;
}

/**
 * The rows whose chance is smallest. Only those below a bound are sorted: on the average it leaves
 * `most` rows, which is so far above what is wanted that fewer remain once in 10^14 samples (Chernoff).
 */
function random(
  numbered: string,
  total: number,
  { rows, seed }: Extract<SampleMethod, { kind: 'random' }>,
): string {
  const most = rows + 10 * Math.sqrt(rows) + 50;
  const few = most < total ? `WHERE ${chance(seed)}::DOUBLE < ${(most / total) * 2 ** 64}` : '';
  return `SELECT * FROM ${numbered} ${few} ORDER BY ${chance(seed)}, ${ROW} LIMIT ${rows}`;
}

/** Each stratum gets its share in whole rows; what is left over goes to the largest remainders. */
function stratified(
  numbered: string,
  columns: readonly EngineColumn[],
  { by, rows, seed, allocation }: Extract<SampleMethod, { kind: 'stratified' }>,
): string {
  const keys = by.map((name) => identifier(findColumn(columns, name).name)).join(', ');
  const share =
    allocation === 'equal' ? `${rows} / count(*) OVER ()` : `${rows} * size / sum(size) OVER ()`;
  return `
    WITH numbered AS MATERIALIZED (SELECT * FROM ${numbered}),
    strata AS (SELECT ${keys}, count(*) AS size FROM numbered GROUP BY ${keys}),
    shares AS (SELECT *, (${share})::DOUBLE AS share FROM strata),
    quotas AS (
      SELECT *, floor(share) + CASE WHEN row_number() OVER (
          ORDER BY share - floor(share) DESC, ${keys}
        ) <= ${rows} - sum(floor(share)) OVER () THEN 1 ELSE 0 END AS quota
      FROM shares
    ),
    ranked AS (
      SELECT *, row_number() OVER (PARTITION BY ${keys} ORDER BY ${chance(seed)}, ${ROW}) AS "varve rank"
      FROM numbered
    )
    SELECT ranked.* FROM ranked JOIN quotas
      ON ${by.map((name) => distinctly(identifier(findColumn(columns, name).name))).join(' AND ')}
    WHERE "varve rank" <= quota`;
}

function distinctly(column: string): string {
  return `ranked.${column} IS NOT DISTINCT FROM quotas.${column}`;
}
