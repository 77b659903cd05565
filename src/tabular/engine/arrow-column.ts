import type { DuckDBDataChunk } from '@duckdb/node-api';
import duckdb, { type Vector } from '@duckdb/node-bindings';
import { Field, type Data, type DataType } from 'apache-arrow';

/** Gathers one column of a record batch. */
export interface ArrowColumn {
  readonly field: Field;
  /** How much was gathered of what has no fixed length. */
  readonly heldBytes: number;
  /** Adds a vector's first rows. */
  append(vector: RawVector, rows: number): void;
  /** Gives what was gathered, and begins anew: what was given is good until rows are added again. */
  take(rows: number): Data;
}

/** A vector as it lies in the engine's memory; the library's own makes objects of it and of its type. */
export class RawVector {
  private constructor(
    private readonly vector: Vector,
    /** How many it holds. */
    private readonly rows: number,
  ) {}

  static of({ chunk, rowCount }: DuckDBDataChunk, column: number): RawVector {
    return new RawVector(duckdb.data_chunk_get_vector(chunk, column), rowCount);
  }

  /** Its items, each of so many bytes. */
  bytes(itemBytes: number): Uint8Array<ArrayBuffer> {
    return duckdb.vector_get_data(this.vector, this.rows * itemBytes) as Uint8Array<ArrayBuffer>;
  }

  /** A bit for each row that has a value; null where all have. */
  validBits(): Uint8Array | null {
    // It is made of words of 64 bits.
    return duckdb.vector_get_validity(this.vector, Math.ceil(this.rows / 64) * 8) ?? null;
  }
}

/** Which rows have a value: a bitmap like the engine's own. */
class Validity {
  private readonly bits: Uint8Array;
  private filled = 0;
  private hasNulls = false;

  constructor(capacity: number) {
    this.bits = new Uint8Array(capacity / 8);
  }

  append(vector: RawVector, rows: number): void {
    const valid = vector.validBits();
    const at = this.filled >> 3;
    const bytes = (rows + 7) >> 3;
    this.filled += rows;
    // While no row is without a value nobody asks for the bitmap.
    if (!valid && !this.hasNulls) return;
    if (!this.hasNulls) this.bits.fill(0xff, 0, at);
    this.hasNulls = true;
    if (valid) this.bits.set(valid.subarray(0, bytes), at);
    else this.bits.fill(0xff, at, at + bytes);
  }

  take(): Uint8Array | null {
    const bits = this.hasNulls ? this.bits.subarray(0, (this.filled + 7) >> 3) : null;
    this.filled = 0;
    this.hasNulls = false;
    return bits;
  }
}

/** What Arrow is told of every column. */
export interface Common {
  readonly length: number;
  readonly nullCount: number;
  readonly nullBitmap?: Uint8Array;
}

/** What all columns have in common: their validity, and how many rows they hold. */
export abstract class Column implements ArrowColumn {
  readonly field: Field;
  protected readonly validity: Validity;
  protected filled = 0;

  get heldBytes(): number {
    return 0;
  }

  constructor(
    name: string,
    protected readonly type: DataType,
    capacity: number,
  ) {
    this.field = new Field(name, type, true);
    this.validity = new Validity(capacity);
  }

  append(vector: RawVector, rows: number): void {
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

  protected abstract copy(vector: RawVector, rows: number): void;
  protected abstract dataOf(common: Common): Data;
}
