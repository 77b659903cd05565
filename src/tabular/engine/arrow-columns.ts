import { DuckDBTypeId, type DuckDBDecimalType, type DuckDBType } from '@duckdb/node-api';
import {
  Binary,
  Bool,
  DateDay,
  Decimal,
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
import { BytesColumn } from './arrow-bytes.js';
import { Column, type ArrowColumn, type Common, type RawVector } from './arrow-column.js';

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

class FixedColumn extends Column {
  private readonly bytes: Uint8Array;

  constructor(
    name: string,
    type: DataType,
    private readonly values: Numbers,
  ) {
    super(name, type, values.length);
    this.bytes = new Uint8Array(values.buffer);
  }

  protected override copy(vector: RawVector, rows: number): void {
    const itemBytes = this.values.BYTES_PER_ELEMENT;
    const items = vector.bytes(itemBytes).subarray(0, rows * itemBytes);
    this.bytes.set(items, this.filled * itemBytes);
  }

  protected override dataOf(common: Common): Data {
    const data = this.values.subarray(0, common.length);
    return makeData({ type: this.type, ...common, data } as never);
  }
}

class BooleanColumn extends Column {
  private readonly bits: Uint8Array;

  constructor(name: string, capacity: number) {
    super(name, new Bool(), capacity);
    this.bits = new Uint8Array(capacity / 8);
  }

  protected override copy(vector: RawVector, rows: number): void {
    const values = vector.bytes(1);
    for (let row = 0; row < rows; row += 1) {
      const at = this.filled + row;
      const bit = 1 << (at & 7);
      const byte = this.bits[at >> 3] as number;
      this.bits[at >> 3] = values[row] === 1 ? byte | bit : byte & ~bit;
    }
  }

  protected override dataOf(common: Common): Data {
    const data = this.bits.subarray(0, (common.length + 7) >> 3);
    return makeData({ type: new Bool(), ...common, data });
  }
}

/** As many as hold so many digits (duckdb.org/docs/stable/sql/data_types/numeric). */
function decimalBytes(width: number): 2 | 4 | 8 | 16 {
  if (width <= 4) return 2;
  if (width <= 9) return 4;
  return width <= 18 ? 8 : 16;
}

/** Decimals: two to sixteen bytes each, by their width, which Arrow wants as four words of 32 bits. */
class DecimalColumn extends Column {
  private readonly words: Int32Array;
  private readonly itemBytes: 2 | 4 | 8 | 16;

  constructor(name: string, { width, scale }: DuckDBDecimalType, capacity: number) {
    super(name, new Decimal(scale, width, 128), capacity);
    this.itemBytes = decimalBytes(width);
    this.words = new Int32Array(capacity * 4);
  }

  protected override copy(vector: RawVector, rows: number): void {
    const { itemBytes } = this;
    const { buffer, byteOffset } = vector.bytes(itemBytes);
    const values =
      itemBytes === 2
        ? new Int16Array(buffer, byteOffset, rows)
        : new Int32Array(buffer, byteOffset, (rows * itemBytes) / 4);
    if (itemBytes === 16) this.words.set(values, 4 * this.filled);
    else this.extend(values, itemBytes === 8 ? 2 : 1);
  }

  /** Fills the words above a value with its sign. */
  private extend(values: Int16Array | Int32Array, wordsEach: 1 | 2): void {
    for (let from = 0, to = 4 * this.filled; from < values.length; from += wordsEach, to += 4) {
      const low = values[from] as number;
      const sign = (values[from + wordsEach - 1] as number) >> 31;
      this.words[to] = low;
      this.words[to + 1] = wordsEach === 2 ? (values[from + 1] as number) : sign;
      this.words[to + 2] = sign;
      this.words[to + 3] = sign;
    }
  }

  protected override dataOf(common: Common): Data {
    const data = new Uint32Array(this.words.buffer, 0, common.length * 4);
    return makeData({ type: this.type, ...common, data } as never);
  }
}
