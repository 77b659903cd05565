import {
  DuckDBTypeId,
  type DuckDBDecimalType,
  type DuckDBDecimalValue,
  type DuckDBType,
  type DuckDBVector,
} from '@duckdb/node-api';
import {
  Binary,
  Bool,
  DateDay,
  Decimal,
  Field,
  Float32,
  Float64,
  Int16,
  Int32,
  Int64,
  Int8,
  TimeMicrosecond,
  TimestampMicrosecond,
  TimestampMillisecond,
  TimestampNanosecond,
  TimestampSecond,
  Uint16,
  Uint32,
  Uint64,
  Uint8,
  Utf8,
  makeData,
  type Data,
  type DataType,
} from 'apache-arrow';

/** Gathers one column of a record batch. */
export interface ArrowColumn {
  readonly field: Field;
  /** Adds a vector's first rows. */
  append(vector: DuckDBVector, rows: number): void;
  /** Gives what was gathered, and begins anew. */
  take(rows: number): Data;
}

type Numbers =
  | Int8Array
  | Int16Array
  | Int32Array
  | BigInt64Array
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigUint64Array
  | Float32Array
  | Float64Array;

type NumbersOf = new (length: number) => Numbers;

/** Types whose vectors lie in memory as Arrow's do. */
const FIXED: Partial<Record<DuckDBTypeId, [DataType, NumbersOf]>> = {
  [DuckDBTypeId.TINYINT]: [new Int8(), Int8Array],
  [DuckDBTypeId.SMALLINT]: [new Int16(), Int16Array],
  [DuckDBTypeId.INTEGER]: [new Int32(), Int32Array],
  [DuckDBTypeId.BIGINT]: [new Int64(), BigInt64Array],
  [DuckDBTypeId.UTINYINT]: [new Uint8(), Uint8Array],
  [DuckDBTypeId.USMALLINT]: [new Uint16(), Uint16Array],
  [DuckDBTypeId.UINTEGER]: [new Uint32(), Uint32Array],
  [DuckDBTypeId.UBIGINT]: [new Uint64(), BigUint64Array],
  [DuckDBTypeId.FLOAT]: [new Float32(), Float32Array],
  [DuckDBTypeId.DOUBLE]: [new Float64(), Float64Array],
  [DuckDBTypeId.DATE]: [new DateDay(), Int32Array],
  [DuckDBTypeId.TIME]: [new TimeMicrosecond(), BigInt64Array],
  [DuckDBTypeId.TIMESTAMP]: [new TimestampMicrosecond(), BigInt64Array],
  [DuckDBTypeId.TIMESTAMP_S]: [new TimestampSecond(), BigInt64Array],
  [DuckDBTypeId.TIMESTAMP_MS]: [new TimestampMillisecond(), BigInt64Array],
  [DuckDBTypeId.TIMESTAMP_NS]: [new TimestampNanosecond(), BigInt64Array],
  [DuckDBTypeId.TIMESTAMP_TZ]: [new TimestampMicrosecond('UTC'), BigInt64Array],
};

/** Whether values of a type go to Arrow as what they are, and not as text. */
export function isDirect(type: DuckDBType): boolean {
  const { typeId } = type;
  return (
    typeId in FIXED ||
    typeId === DuckDBTypeId.BOOLEAN ||
    typeId === DuckDBTypeId.VARCHAR ||
    typeId === DuckDBTypeId.BLOB ||
    typeId === DuckDBTypeId.DECIMAL
  );
}

/** Makes a column for values of a type; those that are not direct come as text. */
export function arrowColumn(name: string, type: DuckDBType, capacity: number): ArrowColumn {
  const fixed = FIXED[type.typeId];
  if (fixed) return new FixedColumn(name, fixed[0], new fixed[1](capacity));
  if (type.typeId === DuckDBTypeId.BOOLEAN) return new BooleanColumn(name, capacity);
  if (type.typeId === DuckDBTypeId.DECIMAL) return new DecimalColumn(name, type, capacity);
  const isBinary = type.typeId === DuckDBTypeId.BLOB;
  return new BytesColumn(name, isBinary ? new Binary() : new Utf8(), capacity);
}

/** Which rows have a value: a bitmap like the engine's own. */
class Validity {
  private readonly bits: Uint8Array;
  private filled = 0;
  private hasNulls = false;

  constructor(capacity: number) {
    this.bits = new Uint8Array(capacity / 8);
  }

  append(vector: DuckDBVector, rows: number): void {
    const { data } = (vector as unknown as { validity: { data: BigUint64Array | null } }).validity;
    const at = this.filled >> 3;
    const bytes = (rows + 7) >> 3;
    if (data) {
      this.hasNulls = true;
      this.bits.set(new Uint8Array(data.buffer, data.byteOffset, bytes), at);
    } else this.bits.fill(0xff, at, at + bytes);
    this.filled += rows;
  }

  take(): Uint8Array | null {
    const bits = this.hasNulls ? this.bits.slice(0, (this.filled + 7) >> 3) : null;
    this.filled = 0;
    this.hasNulls = false;
    return bits;
  }
}

abstract class Column implements ArrowColumn {
  readonly field: Field;
  protected readonly validity: Validity;
  protected filled = 0;

  constructor(
    name: string,
    protected readonly type: DataType,
    capacity: number,
  ) {
    this.field = new Field(name, type, true);
    this.validity = new Validity(capacity);
  }

  append(vector: DuckDBVector, rows: number): void {
    this.validity.append(vector, rows);
    this.copy(vector, rows);
    this.filled += rows;
  }

  take(rows: number): Data {
    const nullBitmap = this.validity.take();
    const data = this.dataOf({
      length: rows,
      nullCount: nullBitmap ? -1 : 0,
      ...(nullBitmap && { nullBitmap }),
    });
    this.filled = 0;
    return data;
  }

  protected abstract copy(vector: DuckDBVector, rows: number): void;
  protected abstract dataOf(common: {
    length: number;
    nullCount: number;
    nullBitmap?: Uint8Array;
  }): Data;
}

type Common = Parameters<Column['dataOf']>[0];

class FixedColumn extends Column {
  constructor(
    name: string,
    type: DataType,
    private readonly values: Numbers,
  ) {
    super(name, type, values.length);
  }

  protected override copy(vector: DuckDBVector, rows: number): void {
    const { items } = vector as unknown as { items: Numbers };
    (this.values as Int32Array).set(items.subarray(0, rows) as Int32Array, this.filled);
  }

  protected override dataOf(common: Common): Data {
    const data = this.values.slice(0, common.length);
    return makeData({ type: this.type, ...common, data } as never);
  }
}

class BooleanColumn extends Column {
  private readonly bits: Uint8Array;

  constructor(name: string, capacity: number) {
    super(name, new Bool(), capacity);
    this.bits = new Uint8Array(capacity / 8);
  }

  protected override copy(vector: DuckDBVector, rows: number): void {
    for (let row = 0; row < rows; row += 1) {
      const at = this.filled + row;
      const bit = 1 << (at & 7);
      const byte = this.bits[at >> 3] as number;
      this.bits[at >> 3] = vector.getItem(row) === true ? byte | bit : byte & ~bit;
    }
  }

  protected override dataOf(common: Common): Data {
    const data = this.bits.slice(0, (common.length + 7) >> 3);
    return makeData({ type: new Bool(), ...common, data });
  }
}

class DecimalColumn extends Column {
  private readonly words: BigUint64Array;

  constructor(name: string, { width, scale }: DuckDBDecimalType, capacity: number) {
    super(name, new Decimal(scale, width, 128), capacity);
    this.words = new BigUint64Array(capacity * 2);
  }

  protected override copy(vector: DuckDBVector, rows: number): void {
    for (let row = 0; row < rows; row += 1) {
      const item = vector.getItem(row) as DuckDBDecimalValue | null;
      const value = item?.value ?? 0n;
      const at = 2 * (this.filled + row);
      this.words[at] = BigInt.asUintN(64, value);
      this.words[at + 1] = BigInt.asUintN(64, value >> 64n);
    }
  }

  protected override dataOf(common: Common): Data {
    const words = this.words.slice(0, common.length * 2);
    return makeData({ type: this.type, ...common, data: new Uint32Array(words.buffer) } as never);
  }
}

/** Texts and binary values: their bytes one after the other, and where each begins. */
class BytesColumn extends Column {
  private readonly offsets: Int32Array;
  private bytes: Buffer = Buffer.allocUnsafe(64 * 1024);
  private used = 0;

  constructor(name: string, type: Utf8 | Binary, capacity: number) {
    super(name, type, capacity);
    this.offsets = new Int32Array(capacity + 1);
  }

  protected override copy(vector: DuckDBVector, rows: number): void {
    for (let row = 0; row < rows; row += 1) {
      const item = vector.getItem(row) as string | { bytes: Uint8Array } | null;
      if (typeof item === 'string') this.addText(item);
      else if (item) this.addBytes(item.bytes);
      this.offsets[this.filled + row + 1] = this.used;
    }
  }

  private addText(text: string): void {
    // A UTF-16 unit takes three bytes of UTF-8 at the most.
    this.reserve(text.length * 3);
    this.used += this.bytes.write(text, this.used, 'utf8');
  }

  private addBytes(bytes: Uint8Array): void {
    this.reserve(bytes.length);
    this.bytes.set(bytes, this.used);
    this.used += bytes.length;
  }

  private reserve(more: number): void {
    if (this.used + more <= this.bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.bytes.length * 2, this.used + more));
    this.bytes.copy(larger, 0, 0, this.used);
    this.bytes = larger;
  }

  protected override dataOf(common: Common): Data {
    const valueOffsets = this.offsets.slice(0, common.length + 1);
    const data = Uint8Array.prototype.slice.call(this.bytes, 0, this.used);
    this.used = 0;
    return makeData({ type: this.type, ...common, valueOffsets, data } as never);
  }
}
