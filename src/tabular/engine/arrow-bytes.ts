import duckdb from '@duckdb/node-bindings';
import { makeData, type Binary, type Data, type Utf8 } from 'apache-arrow';
import { Column, type Common, type RawVector } from './arrow-column.js';

/** A text's place in a vector: its length, and then its bytes, or where they are if they are many. */
const ITEM_BYTES = 16;
const LONGEST_INLINE = 12;
const FIRST_ROOM = 64 * 1024;

/** Texts and binary values: their bytes one after the other, and where each begins. */
export class BytesColumn extends Column {
  private readonly offsets: Int32Array;
  private bytes: Uint8Array = new Uint8Array(FIRST_ROOM);
  private view = new DataView(this.bytes.buffer);
  private used = 0;

  constructor(name: string, type: Utf8 | Binary, capacity: number) {
    super(name, type, capacity);
    this.offsets = new Int32Array(capacity + 1);
  }

  override get heldBytes(): number {
    return this.used;
  }

  /** Copies bytes as they are: text is UTF-8 on both sides, and never becomes a string in between. */
  protected override copy(vector: RawVector, rows: number): void {
    const items = vector.bytes(ITEM_BYTES);
    const words = new Uint32Array(items.buffer, items.byteOffset, (rows * ITEM_BYTES) / 4);
    const start = this.used;
    this.placeRows(words, vector.validBits(), rows);
    this.reserve(this.used + LONGEST_INLINE);
    const long = new LongValues(items, this.bytes);
    for (let row = 0, to = start; row < rows; row += 1) {
      const end = this.offsets[this.filled + row + 1] as number;
      if (end - to > LONGEST_INLINE) long.add(row, words, to, end - to);
      else this.copyInline(words, row, to, end - to);
      to = end;
    }
    long.copy();
  }

  /** Word by word: what this writes beyond the value, those behind it write again. */
  private copyInline(words: Uint32Array, row: number, to: number, length: number): void {
    const at = (row * ITEM_BYTES) / 4 + 1;
    this.view.setUint32(to, words[at] as number, true);
    if (length > 4) this.view.setUint32(to + 4, words[at + 1] as number, true);
    if (length > 8) this.view.setUint32(to + 8, words[at + 2] as number, true);
  }

  /** Settles where each row's bytes will lie. */
  private placeRows(words: Uint32Array, valid: Uint8Array | null, rows: number): void {
    for (let row = 0; row < rows; row += 1) {
      const isValid = !valid || ((valid[row >> 3] as number) >> (row & 7)) & 1;
      if (isValid) this.used += words[4 * row] as number;
      this.offsets[this.filled + row + 1] = this.used;
    }
  }

  private reserve(needed: number): void {
    if (needed <= this.bytes.length) return;
    const larger = new Uint8Array(Math.max(this.bytes.length * 2, needed));
    larger.set(this.bytes);
    this.bytes = larger;
    this.view = new DataView(larger.buffer);
  }

  protected override dataOf(common: Common): Data {
    const valueOffsets = this.offsets.subarray(0, common.length + 1);
    const data = this.bytes.subarray(0, this.used);
    this.used = 0;
    return makeData({ type: this.type, ...common, valueOffsets, data } as never);
  }
}

/**
 * Copies values that lie outside of their vector. The engine puts those of a result one after the other,
 * so that neighbours are fetched together: a call for each would cost more than its bytes.
 */
class LongValues {
  private first = 0;
  private to = 0;
  private length = 0;
  private nextLow = 0;
  private nextHigh = 0;

  constructor(
    private readonly source: Uint8Array<ArrayBuffer>,
    private readonly target: Uint8Array,
  ) {}

  add(row: number, words: Uint32Array, to: number, length: number): void {
    const low = words[4 * row + 2] as number;
    const high = words[4 * row + 3] as number;
    const follows = low === this.nextLow && high === this.nextHigh && to === this.to + this.length;
    if (!follows) {
      this.copy();
      this.first = row;
      this.to = to;
    }
    this.length += length;
    this.nextLow = (low + length) >>> 0;
    this.nextHigh = this.nextLow < low ? high + 1 : high;
  }

  /** Copies those that were added since the last time. */
  copy(): void {
    if (this.length === 0) return;
    const { buffer, byteOffset } = this.source;
    const pointer = byteOffset + this.first * ITEM_BYTES + 8;
    this.target.set(duckdb.get_data_from_pointer(buffer, pointer, this.length), this.to);
    this.length = 0;
  }
}
