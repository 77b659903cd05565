import {
  DataType,
  DateUnit,
  Precision,
  TimeUnit,
  type Decimal,
  type FixedSizeList,
  type Int,
  type List,
  type Map_,
  type Struct,
  type Time,
  type Timestamp,
  type TypeMap,
} from 'apache-arrow';
import type { JsonValue } from '../../../core/json.js';
import { identifier } from '../sql-text.js';

/** The engine's name for an Arrow type, as it is read from JSON. */
export function arrowTypeText(type: DataType): string {
  if (DataType.isBool(type)) return 'BOOLEAN';
  if (DataType.isInt(type)) return integerText(type);
  if (DataType.isFloat(type)) return type.precision === Precision.DOUBLE ? 'DOUBLE' : 'FLOAT';
  if (DataType.isDecimal(type)) return decimalText(type);
  if (DataType.isDate(type)) return type.unit === DateUnit.DAY ? 'DATE' : 'TIMESTAMP';
  if (DataType.isTimestamp(type)) return type.timezone ? 'TIMESTAMPTZ' : 'TIMESTAMP';
  if (DataType.isTime(type)) return 'TIME';
  if (DataType.isDictionary(type)) return arrowTypeText(type.dictionary as DataType);
  if (DataType.isList(type) || DataType.isFixedSizeList(type)) {
    return `${arrowTypeText(childOf(type))}[]`;
  }
  if (DataType.isStruct(type)) {
    const fields = (type as Struct<TypeMap>).children;
    if (fields.length === 0) return 'JSON';
    const texts = fields.map((field) => `${identifier(field.name)} ${arrowTypeText(field.type)}`);
    return `STRUCT(${texts.join(', ')})`;
  }
  if (DataType.isMap(type)) return 'JSON';
  return 'VARCHAR';
}

function childOf(type: List | FixedSizeList): DataType {
  return (type.children[0]?.type ?? type) as DataType;
}

function integerText({ bitWidth, isSigned }: Int): string {
  const name = { 8: 'TINYINT', 16: 'SMALLINT', 32: 'INTEGER', 64: 'BIGINT' }[bitWidth];
  return isSigned ? name : `U${name}`;
}

function decimalText({ precision, scale }: Decimal): string {
  return precision <= 38 && scale >= 0 ? `DECIMAL(${precision}, ${scale})` : 'VARCHAR';
}

/** A value as JSON that the engine reads back without loss. */
export function arrowValue(value: unknown, type: DataType): JsonValue {
  if (value === null || value === undefined) return null;
  if (typeof value === 'bigint' && DataType.isInt(type)) return String(value);
  if (typeof value === 'number' && DataType.isFloat(type)) {
    return Number.isFinite(value) ? value : floatText(value);
  }
  if (DataType.isDecimal(type)) return decimalValue(value as Uint32Array, type.scale);
  if (DataType.isDate(type)) return dateValue(Number(value), type.unit);
  if (DataType.isTimestamp(type)) return timestampValue(value as number | bigint, type);
  if (DataType.isTime(type)) return timeValue(value as number | bigint, type);
  if (DataType.isDictionary(type)) return arrowValue(value, type.dictionary as DataType);
  if (DataType.isList(type) || DataType.isFixedSizeList(type)) {
    const child = childOf(type);
    return [...(value as Iterable<unknown>)].map((item) => arrowValue(item, child));
  }
  if (DataType.isStruct(type)) return structValue(value, type as Struct<TypeMap>);
  if (DataType.isMap(type)) return mapValue(value, type);
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (typeof value === 'number' || typeof value === 'boolean') return value;
  // What is left are texts, and whole numbers of types of their own.
  return typeof value === 'string' ? value : (value as bigint).toString();
}

function structValue(value: unknown, type: Struct<TypeMap>): JsonValue {
  const members = value as Record<string, unknown>;
  return Object.fromEntries(
    type.children.map((field) => [field.name, arrowValue(members[field.name], field.type)]),
  );
}

function mapValue(value: unknown, type: Map_): JsonValue {
  const of = (type.children[0]?.type as Struct<TypeMap>).children[1]?.type as DataType;
  const entries = [...(value as Iterable<[unknown, unknown]>)];
  return Object.fromEntries(entries.map(([key, item]) => [String(key), arrowValue(item, of)]));
}

function floatText(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  return value > 0 ? 'inf' : '-inf';
}

/** Decimals come as the words of a number in two's complement, the lowest first. */
function decimalValue(words: Uint32Array, scale: number): string {
  let unscaled = 0n;
  for (let at = words.length - 1; at >= 0; at -= 1) {
    unscaled = (unscaled << 32n) | BigInt(words[at] as number);
  }
  unscaled = BigInt.asIntN(words.length * 32, unscaled);
  const digits = (unscaled < 0n ? -unscaled : unscaled).toString().padStart(scale + 1, '0');
  const sign = unscaled < 0n ? '-' : '';
  if (scale <= 0) return `${sign}${digits}`;
  return `${sign}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}

function dateValue(ms: number, unit: DateUnit): string {
  const text = new Date(ms).toISOString();
  return unit === DateUnit.DAY ? text.slice(0, 10) : text.slice(0, 23);
}

const PER_SECOND: Record<TimeUnit, bigint> = {
  [TimeUnit.SECOND]: 1n,
  [TimeUnit.MILLISECOND]: 1_000n,
  [TimeUnit.MICROSECOND]: 1_000_000n,
  [TimeUnit.NANOSECOND]: 1_000_000_000n,
};

/** The library gives timestamps in milliseconds, with what is finer as a fraction. */
function timestampValue(value: number | bigint, { timezone }: Timestamp): string {
  const micros = typeof value === 'bigint' ? value * 1000n : BigInt(Math.round(value * 1000));
  const ms = micros >= 0n || micros % 1000n === 0n ? micros / 1000n : micros / 1000n - 1n;
  const text = new Date(Number(ms)).toISOString().slice(0, 23);
  return `${text}${String(micros - ms * 1000n).padStart(3, '0')}${timezone ? 'Z' : ''}`;
}

function timeValue(value: number | bigint, { unit }: Time): string {
  const micros = (BigInt(value) * 1_000_000n) / PER_SECOND[unit];
  const text = new Date(Number(micros / 1000n)).toISOString().slice(11, 23);
  return `${text}${String(micros % 1000n).padStart(3, '0')}`;
}
