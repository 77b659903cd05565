import avro from 'avsc';
import type { JsonValue } from '../../../core/json.js';
import { identifier } from '../sql-text.js';

/** As much of a parsed Avro type as reading needs; the library's own types leave it out. */
export interface AvroType {
  readonly typeName: string;
  readonly fields?: readonly { readonly name: string; readonly type: AvroType }[];
  readonly itemsType?: AvroType;
  readonly valuesType?: AvroType;
  readonly types?: readonly AvroType[];
}

/** 64-bit whole numbers, kept exactly. */
const LONGS = {
  fromBuffer: (bytes: Buffer) => bytes.readBigInt64LE(),
  toBuffer: (value: bigint) => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(value);
    return bytes;
  },
  fromJSON: BigInt,
  toJSON: Number,
  isValid: (value: unknown) => typeof value === 'bigint',
  compare: (a: bigint, b: bigint) => (a === b ? 0 : a < b ? -1 : 1),
};

export const bigLong = avro.types.LongType.__with(LONGS);

const SIMPLE: Record<string, string> = {
  boolean: 'BOOLEAN',
  int: 'INTEGER',
  long: 'BIGINT',
  float: 'FLOAT',
  double: 'DOUBLE',
};

const LOGICAL: Record<string, string> = {
  date: 'DATE',
  'time-millis': 'TIME',
  'time-micros': 'TIME',
  'timestamp-millis': 'TIMESTAMPTZ',
  'timestamp-micros': 'TIMESTAMPTZ',
  'local-timestamp-millis': 'TIMESTAMP',
  'local-timestamp-micros': 'TIMESTAMP',
};

interface Logical {
  readonly logicalType?: string;
  readonly precision?: number;
  readonly scale?: number;
}

/** What a schema says of a type beyond how it is written down; the library keeps only the latter. */
const logicals = new WeakMap<object, Logical>();

const PRIMITIVES: Record<string, () => avro.Type> = {
  int: () => new avro.types.IntType(),
  long: () => avro.types.LongType.__with(LONGS),
  bytes: () => new avro.types.BytesType(),
};

/** Makes types of schemas; those with a logical type are remembered as such. */
export function typeHook(schema: unknown, options: Partial<avro.ForSchemaOptions>) {
  const { logicalType, ...plain } = (schema ?? {}) as Logical & { type?: unknown };
  if (logicalType === undefined || typeof plain.type !== 'string') return undefined;
  const type = PRIMITIVES[plain.type]?.() ?? avro.Type.forSchema(plain as avro.Schema, options);
  logicals.set(type, { logicalType, ...plain });
  return type;
}

function logicalOf(type: AvroType): Logical {
  return logicals.get(type) ?? {};
}

/** The engine's name for an Avro type, as it is read from JSON. */
export function avroTypeText(type: AvroType): string {
  const { logicalType, precision = 0, scale = 0 } = logicalOf(type);
  if (logicalType === 'decimal' && precision <= 38) return `DECIMAL(${precision}, ${scale})`;
  const known = LOGICAL[logicalType ?? ''] ?? SIMPLE[type.typeName.replace(/^abstract:/, '')];
  if (known) return known;
  if (type.itemsType) return `${avroTypeText(type.itemsType)}[]`;
  if (type.typeName === 'record' && type.fields && type.fields.length > 0) {
    const fields = type.fields.map(
      ({ name, type: of }) => `${identifier(name)} ${avroTypeText(of)}`,
    );
    return `STRUCT(${fields.join(', ')})`;
  }
  if (type.types) {
    const others = type.types.filter(({ typeName }) => typeName !== 'null');
    return others.length === 1 ? avroTypeText(others[0] as AvroType) : 'JSON';
  }
  return type.valuesType || type.typeName === 'record' ? 'JSON' : 'VARCHAR';
}

/** A value as JSON that the engine reads back without loss. */
export function avroValue(value: unknown, type: AvroType): JsonValue {
  if (value === null || value === undefined) return null;
  if (type.types) return unionValue(value as Record<string, unknown>, type.types);
  if (type.itemsType) {
    const of = type.itemsType;
    return (value as unknown[]).map((item) => avroValue(item, of));
  }
  if (type.fields) {
    const members = value as Record<string, unknown>;
    return Object.fromEntries(
      type.fields.map((field) => [field.name, avroValue(members[field.name], field.type)]),
    );
  }
  if (type.valuesType) {
    const of = type.valuesType;
    const entries = Object.entries(value as Record<string, unknown>);
    return Object.fromEntries(entries.map(([key, item]) => [key, avroValue(item, of)]));
  }
  return simpleValue(value, logicalOf(type));
}

/** A union's value stands under the name of its type. */
function unionValue(value: Record<string, unknown>, types: readonly AvroType[]): JsonValue {
  const [name = '', inner] = Object.entries(value)[0] ?? [];
  const type = types.find((each) => branchName(each) === name);
  return type ? avroValue(inner, type) : null;
}

function branchName(type: AvroType): string {
  const { name } = type as { name?: string };
  return name ?? type.typeName.replace(/^abstract:/, '');
}

function simpleValue(value: unknown, { logicalType, scale = 0 }: Logical): JsonValue {
  if (Buffer.isBuffer(value)) {
    return logicalType === 'decimal' ? decimalText(value, scale) : value.toString('base64');
  }
  if (logicalType && LOGICAL[logicalType]) return timeText(BigInt(value as number), logicalType);
  if (typeof value === 'bigint') return String(value);
  if (typeof value === 'number' && !Number.isFinite(value)) {
    return Number.isNaN(value) ? 'nan' : value > 0 ? 'inf' : '-inf';
  }
  return value as JsonValue;
}

function decimalText(bytes: Buffer, scale: number): string {
  const unscaled = bytes.length
    ? BigInt.asIntN(bytes.length * 8, BigInt(`0x${bytes.toString('hex')}`))
    : 0n;
  const digits = (unscaled < 0n ? -unscaled : unscaled).toString().padStart(scale + 1, '0');
  const whole = scale > 0 ? `${digits.slice(0, -scale)}.${digits.slice(-scale)}` : digits;
  return unscaled < 0n ? `-${whole}` : whole;
}

function timeText(value: bigint, logicalType: string): string {
  if (logicalType === 'date') {
    return new Date(Number(value) * 86_400_000).toISOString().slice(0, 10);
  }
  const micros = logicalType.endsWith('millis') ? value * 1000n : value;
  const rest = ((micros % 1000n) + 1000n) % 1000n;
  const text = new Date(Number((micros - rest) / 1000n)).toISOString().slice(0, 23);
  const full = `${text}${String(rest).padStart(3, '0')}`;
  if (logicalType.startsWith('time-')) return full.slice(11);
  return logicalType.startsWith('local-') ? full : `${full}Z`;
}
