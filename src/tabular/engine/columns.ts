import { DuckDBTypeId, type DuckDBType } from '@duckdb/node-api';
import type { EngineColumn } from './session.js';

/** A column of a table, in words that belong to no engine. */
export interface TableColumn {
  readonly name: string;
  /**
   * `boolean`, `int8` to `int128`, `uint8` to `uint128`, `float32`, `float64`, `decimal`, `string`, `binary`,
   * `date`, `time`, `timestamp` (without a zone), `timestamptz`, `interval`, `uuid`, `json`, `list`, `struct`, `map`.
   */
  readonly type: string;
  /** Null while nobody has looked at every row. */
  readonly nullable: boolean | null;
  /** Of decimals: digits in all, and after the point. */
  readonly precision?: number;
  readonly scale?: number;
  /** Of structs: the fields. Of lists: the one item, `item`. Of maps: `key` and `value`. */
  readonly fields?: readonly TableColumn[];
}

const NAMES: Partial<Record<DuckDBTypeId, string>> = {
  [DuckDBTypeId.BOOLEAN]: 'boolean',
  [DuckDBTypeId.TINYINT]: 'int8',
  [DuckDBTypeId.SMALLINT]: 'int16',
  [DuckDBTypeId.INTEGER]: 'int32',
  [DuckDBTypeId.BIGINT]: 'int64',
  [DuckDBTypeId.HUGEINT]: 'int128',
  [DuckDBTypeId.UTINYINT]: 'uint8',
  [DuckDBTypeId.USMALLINT]: 'uint16',
  [DuckDBTypeId.UINTEGER]: 'uint32',
  [DuckDBTypeId.UBIGINT]: 'uint64',
  [DuckDBTypeId.UHUGEINT]: 'uint128',
  [DuckDBTypeId.FLOAT]: 'float32',
  [DuckDBTypeId.DOUBLE]: 'float64',
  [DuckDBTypeId.DECIMAL]: 'decimal',
  [DuckDBTypeId.VARCHAR]: 'string',
  [DuckDBTypeId.ENUM]: 'string',
  [DuckDBTypeId.BLOB]: 'binary',
  [DuckDBTypeId.DATE]: 'date',
  [DuckDBTypeId.TIME]: 'time',
  [DuckDBTypeId.TIME_TZ]: 'time',
  [DuckDBTypeId.TIMESTAMP]: 'timestamp',
  [DuckDBTypeId.TIMESTAMP_S]: 'timestamp',
  [DuckDBTypeId.TIMESTAMP_MS]: 'timestamp',
  [DuckDBTypeId.TIMESTAMP_NS]: 'timestamp',
  [DuckDBTypeId.TIMESTAMP_TZ]: 'timestamptz',
  [DuckDBTypeId.INTERVAL]: 'interval',
  [DuckDBTypeId.UUID]: 'uuid',
};

/** Describes a column. */
export function describeColumn(
  { name, type }: EngineColumn,
  nullable: boolean | null,
): TableColumn {
  const parts = partsOf(type);
  if (parts) {
    const fields = parts.fields.map((field) => describeColumn(field, null));
    return { name, type: parts.kind, nullable, fields };
  }
  if (type.typeId === DuckDBTypeId.DECIMAL) {
    const { width, scale } = type;
    return { name, type: 'decimal', nullable, precision: width, scale };
  }
  return { name, type: logicalType(type), nullable };
}

/** A simple type's name; what the engine has and nobody else is told as text. */
export function logicalType(type: DuckDBType): string {
  if (type.alias === 'JSON') return 'json';
  return NAMES[type.typeId] ?? partsOf(type)?.kind ?? 'string';
}

/** What a nested type is made of; null for a simple one. */
export function partsOf(
  type: DuckDBType,
): { kind: 'list' | 'struct' | 'map'; fields: EngineColumn[] } | null {
  if (type.typeId === DuckDBTypeId.LIST || type.typeId === DuckDBTypeId.ARRAY) {
    return { kind: 'list', fields: [{ name: 'item', type: type.valueType }] };
  }
  if (type.typeId === DuckDBTypeId.STRUCT) {
    const { entryNames, entryTypes } = type;
    const fields = entryNames.map((name, at) => ({ name, type: entryTypes[at] as DuckDBType }));
    return { kind: 'struct', fields };
  }
  if (type.typeId !== DuckDBTypeId.MAP) return null;
  const { keyType, valueType } = type;
  return {
    kind: 'map',
    fields: [
      { name: 'key', type: keyType },
      { name: 'value', type: valueType },
    ],
  };
}
