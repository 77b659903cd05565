import { logicalType, partsOf } from './columns.js';
import type { EngineColumn } from './session.js';

/** A value in SQL, and what it is. */
export interface TypedSql extends Pick<EngineColumn, 'type'> {
  readonly sql: string;
}

const INTEGERS = /^u?int\d+$/;
const FLOATS = /^float\d+$/;
const TIMES = new Set(['date', 'timestamp', 'timestamptz']);

/**
 * Two values in a form in which equal ones are equal, though the tables that they are of have other types
 * for them: numbers by their value, never rounded, a date as its midnight, all else by its text.
 */
export function commonForms(a: TypedSql, b: TypedSql): [string, string] {
  const [one, other] = [logicalType(a.type), logicalType(b.type)];
  const both = (fits: (kind: string) => boolean) => fits(one) && fits(other);
  if (a.type.toString() === b.type.toString()) return [a.sql, b.sql];
  if (both((kind) => INTEGERS.test(kind)) || both((kind) => FLOATS.test(kind))) {
    return [a.sql, b.sql];
  }
  if (both((kind) => TIMES.has(kind))) return [a.sql, b.sql];
  return [plainText(a), plainText(b)];
}

/** A value as text: a number as the same text in whatever type it is. */
function plainText({ sql, type }: TypedSql): string {
  const kind = logicalType(type);
  if (partsOf(type)) return `to_json(${sql})::VARCHAR`;
  if (kind === 'decimal') {
    const text = `${sql}::VARCHAR`;
    return `CASE WHEN contains(${text}, '.') THEN rtrim(rtrim(${text}, '0'), '.') ELSE ${text} END`;
  }
  // Whole numbers within a float are written without their point, and never as powers.
  if (FLOATS.test(kind)) {
    return `CASE WHEN ${sql} = trunc(${sql}) AND abs(${sql}) < 1e38 THEN ${sql}::HUGEINT::VARCHAR ELSE ${sql}::VARCHAR END`;
  }
  return `${sql}::VARCHAR`;
}
