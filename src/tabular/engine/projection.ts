import { DuckDBTypeId, type DuckDBType } from '@duckdb/node-api';
import { logicalType, partsOf } from './columns.js';
import type { EngineColumn } from './session.js';
import { identifier, literal } from './sql-text.js';

/** The largest whole number that every reader of JSON keeps exactly: 2^53 - 1. */
const EXACT = Number.MAX_SAFE_INTEGER;
/** Decimals with no more digits than this come through a double unchanged. */
const EXACT_DIGITS = 15;

const LARGE_INTEGERS = new Set([
  DuckDBTypeId.BIGINT,
  DuckDBTypeId.HUGEINT,
  DuckDBTypeId.UBIGINT,
  DuckDBTypeId.UHUGEINT,
]);

const AS_THEY_ARE = new Set([
  DuckDBTypeId.BOOLEAN,
  DuckDBTypeId.TINYINT,
  DuckDBTypeId.SMALLINT,
  DuckDBTypeId.INTEGER,
  DuckDBTypeId.UTINYINT,
  DuckDBTypeId.USMALLINT,
  DuckDBTypeId.UINTEGER,
  DuckDBTypeId.VARCHAR,
]);

/**
 * The SQL that makes JSON of a value without losing any of it: whole numbers and decimals beyond 2^53 as
 * text, dates as ISO 8601, binary as base64, NaN and the infinities as text.
 */
export function jsonOf(sql: string, type: DuckDBType): string {
  const id = type.typeId;
  if (AS_THEY_ARE.has(id)) return sql;
  if (LARGE_INTEGERS.has(id)) {
    const exact = `${sql} BETWEEN ${id === DuckDBTypeId.UBIGINT || id === DuckDBTypeId.UHUGEINT ? 0 : -EXACT} AND ${EXACT}`;
    return `CASE WHEN ${exact} THEN to_json(${sql}) WHEN ${sql} IS NOT NULL THEN to_json(${sql}::VARCHAR) END`;
  }
  if (id === DuckDBTypeId.DECIMAL) {
    const { width } = type;
    return width <= EXACT_DIGITS ? sql : `${sql}::VARCHAR`;
  }
  if (id === DuckDBTypeId.FLOAT || id === DuckDBTypeId.DOUBLE) {
    return `CASE WHEN isfinite(${sql}) THEN to_json(${sql}) WHEN ${sql} IS NOT NULL THEN to_json(${floatText(sql)}) END`;
  }
  if (id === DuckDBTypeId.BLOB) return `to_base64(${sql})`;
  const kind = logicalType(type);
  if (kind === 'timestamp') return timestampText(sql, type);
  if (kind === 'timestamptz') return utcText(sql);
  return nestedJson(sql, type) ?? `${sql}::VARCHAR`;
}

/** NaN and the infinities as JavaScript writes them. */
function floatText(sql: string): string {
  return `CASE WHEN isnan(${sql}) THEN 'NaN' WHEN ${sql} > 0 THEN 'Infinity' ELSE '-Infinity' END`;
}

/** Whole seconds of four-digit years are most of them, and take half as long as what fits every timestamp. */
function timestampText(sql: string, type: DuckDBType): string {
  const isWhole =
    type.typeId === DuckDBTypeId.TIMESTAMP_NS
      ? `epoch_ns(${sql}) % 1000000000 = 0`
      : `epoch_us(${sql}) % 1000000 = 0`;
  const isPlain = `${isWhole} AND year(${sql}) BETWEEN 1000 AND 9999`;
  return `CASE WHEN ${isPlain} THEN strftime(${sql}, '%Y-%m-%dT%H:%M:%S') ELSE replace(${sql}::VARCHAR, ' ', 'T') END`;
}

function utcText(sql: string): string {
  return `replace(replace(${sql}::VARCHAR, ' ', 'T'), '+00', 'Z')`;
}

let depth = 0;

function nestedJson(sql: string, type: DuckDBType): string | null {
  if (type.alias === 'JSON') return sql;
  const parts = partsOf(type);
  if (!parts) return null;
  if (parts.kind === 'struct') {
    const members = parts.fields.map(
      ({ name, type: of }) =>
        `${literal(name)}: ${jsonOf(`struct_extract(${sql}, ${literal(name)})`, of)}`,
    );
    if (members.length === 0) return `to_json(${sql})`;
    return `CASE WHEN ${sql} IS NOT NULL THEN to_json({${members.join(', ')}}) END`;
  }
  const item = `x${(depth += 1)}`;
  try {
    if (parts.kind === 'list') {
      const [{ type: of } = { type }] = parts.fields;
      return `to_json(list_transform(${sql}, lambda ${item}: ${jsonOf(item, of)}))`;
    }
    const members = parts.fields.map(
      ({ name, type: of }) => `'${name}': ${jsonOf(`struct_extract(${item}, '${name}')`, of)}`,
    );
    return `to_json(list_transform(map_entries(${sql}), lambda ${item}: to_json({${members.join(', ')}})))`;
  } finally {
    depth -= 1;
  }
}

/** The SELECT list under which the engine itself writes exact JSON. */
export function jsonSelection(columns: readonly EngineColumn[]): string {
  return columns
    .map(({ name, type }) => `${jsonOf(identifier(name), type)} AS ${identifier(name)}`)
    .join(', ');
}

/** What a spreadsheet takes for the beginning of a formula. */
const FORMULA = '^[=+\\-@\\t\\r]';

/** A CSV that a spreadsheet may open: names and values that it would run as formulas are made harmless. */
export function csvColumns(columns: readonly EngineColumn[]): { name: string; sql: string }[] {
  return columns.map(({ name, type }) => ({
    name: harmless(name),
    sql: csvOf(identifier(name), type),
  }));
}

function csvOf(sql: string, type: DuckDBType): string {
  const kind = logicalType(type);
  if (type.typeId === DuckDBTypeId.VARCHAR || type.typeId === DuckDBTypeId.ENUM) {
    return `CASE WHEN regexp_matches(${sql}::VARCHAR, '${FORMULA}') THEN '''' || ${sql}::VARCHAR ELSE ${sql}::VARCHAR END`;
  }
  if (type.typeId === DuckDBTypeId.FLOAT || type.typeId === DuckDBTypeId.DOUBLE) {
    return `CASE WHEN isfinite(${sql}) THEN ${sql}::VARCHAR WHEN ${sql} IS NOT NULL THEN ${floatText(sql)} END`;
  }
  if (kind === 'binary') return `to_base64(${sql})`;
  if (kind === 'timestamp') return timestampText(sql, type);
  if (kind === 'timestamptz') return utcText(sql);
  const nested = nestedJson(sql, type);
  return nested === null ? sql : `${nested}::VARCHAR`;
}

function harmless(name: string): string {
  return new RegExp(FORMULA).test(name) ? `'${name}` : name;
}
