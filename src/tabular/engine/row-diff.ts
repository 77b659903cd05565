import { findColumn } from './filter-sql.js';
import { jsonOf } from './projection.js';
import type { EngineColumn } from './session.js';
import { identifier, literal } from './sql-text.js';
import { InvalidRequest } from './table-problem.js';

/**
 * The SELECT that compares two tables row by row: the key, what became of its row (`added`, `removed` or
 * `changed`), which columns changed, and the row before and after as JSON. Columns that only one of the
 * tables has are left out: the schemas' comparison tells of them.
 * @throws InvalidFilter for key columns that are not there
 */
export function diffSelect(
  base: string,
  head: string,
  baseColumns: readonly EngineColumn[],
  headColumns: readonly EngineColumn[],
  key: readonly string[],
): string {
  const keys = key.map((name) => findColumn(headColumns, name).name);
  for (const name of keys) findColumn(baseColumns, name);
  const inBase = new Map(baseColumns.map((column) => [column.name, column]));
  const shared = headColumns.filter(({ name }) => inBase.has(name) && !keys.includes(name));
  const row = (side: string, columns: readonly EngineColumn[]) =>
    columns.length === 0
      ? `'{}'`
      : `to_json({${columns.map(({ name, type }) => `${literal(name)}: ${jsonOf(`${side}.${identifier(name)}`, type)}`).join(', ')}})`;
  const before = shared.map(({ name }) => inBase.get(name) as EngineColumn);
  const changed = shared.map(({ name, type }) => {
    const [was, is] = [`b.${identifier(name)}`, `h.${identifier(name)}`];
    const other =
      inBase.get(name)?.type.toString() === type.toString()
        ? `${was} IS DISTINCT FROM ${is}`
        : `${was}::VARCHAR IS DISTINCT FROM ${is}::VARCHAR`;
    return `CASE WHEN ${other} THEN ${literal(name)} END`;
  });
  const list =
    changed.length > 0
      ? `list_filter([${changed.join(', ')}], lambda x: x IS NOT NULL)`
      : '[]::VARCHAR[]';
  const on = keys.map((name) => `b.${identifier(name)} IS NOT DISTINCT FROM h.${identifier(name)}`);
  const keyList = keys.map(
    (name) => `coalesce(h.${identifier(name)}, b.${identifier(name)}) AS ${identifier(name)}`,
  );
  return `SELECT * FROM (
      SELECT ${keyList.join(', ')},
        CASE WHEN b."varve row" IS NULL THEN 'added' WHEN h."varve row" IS NULL THEN 'removed' ELSE 'changed' END AS "change",
        CASE WHEN b."varve row" IS NULL OR h."varve row" IS NULL THEN [] ELSE ${list} END AS "columns",
        CASE WHEN b."varve row" IS NOT NULL THEN ${row('b', before)}::VARCHAR END AS "before",
        CASE WHEN h."varve row" IS NOT NULL THEN ${row('h', shared)}::VARCHAR END AS "after"
      FROM (SELECT *, 1 AS "varve row" FROM ${base}) b
      FULL JOIN (SELECT *, 1 AS "varve row" FROM ${head}) h ON ${on.join(' AND ')}
    ) WHERE "change" <> 'changed' OR len("columns") > 0
    ORDER BY ${keys.map(identifier).join(', ')}`;
}

/** The SELECT that counts keys which more than one row has: rows are then not told apart. */
export function repeatedKeys(from: string, key: readonly string[]): string {
  const keys = key.map(identifier).join(', ');
  return `SELECT count(*)::INTEGER FROM (SELECT ${keys} FROM ${from} GROUP BY ${keys} HAVING count(*) > 1)`;
}

/** @throws InvalidRequest */
export function requireUnique(repeated: number, which: string): void {
  if (repeated === 0) return;
  throw new InvalidRequest(
    `${repeated} keys stand in more than one row of the ${which}; name columns that tell rows apart.`,
  );
}
