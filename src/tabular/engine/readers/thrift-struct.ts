/** A struct's fields by their numbers; what nests is again a struct, binary is left out. */
export type ThriftStruct = ReadonlyMap<number, number | boolean | ThriftStruct>;

/** The bytes given hold no whole struct. */
export class ThriftEnds extends Error {}
/** The bytes are no struct. */
export class ThriftMalformed extends Error {}

const MAX_DEPTH = 16;

/** What the types of fields are written as. */
const STOP = 0;
const [TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY] = [1, 2, 3, 4, 5, 6, 7, 8];
const STRUCT = 12;

/**
 * Reads a struct of Thrift's compact protocol, as far as the headers of Parquet's pages need it
 * (https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md).
 * @returns the struct, and how many bytes it takes
 * @throws ThriftEnds, ThriftMalformed
 */
export function readStruct(bytes: Buffer): { fields: ThriftStruct; length: number } {
  const reader = new CompactReader(bytes);
  const fields = reader.struct(0);
  return { fields, length: reader.at };
}

class CompactReader {
  at = 0;

  constructor(private readonly bytes: Buffer) {}

  struct(depth: number): ThriftStruct {
    if (depth > MAX_DEPTH) throw new ThriftMalformed('It nests too deep.');
    const fields = new Map<number, number | boolean | ThriftStruct>();
    let id = 0;
    for (;;) {
      const head = this.byte();
      const kind = head & 0x0f;
      if (kind === STOP) return fields;
      id = head >> 4 === 0 ? this.zigzag() : id + (head >> 4);
      const value = this.value(kind, depth);
      if (value !== undefined) fields.set(id, value);
    }
  }

  private value(kind: number, depth: number): number | boolean | ThriftStruct | undefined {
    switch (kind) {
      case TRUE:
      case FALSE:
        return kind === TRUE;
      case BYTE:
        return this.byte();
      case I16:
      case I32:
      case I64:
        return this.zigzag();
      case DOUBLE:
        this.skip(8);
        return undefined;
      case BINARY:
        this.skip(this.varint());
        return undefined;
      case STRUCT:
        return this.struct(depth + 1);
      default:
        // Headers of pages hold no lists and no maps.
        throw new ThriftMalformed(`There is no field of kind ${kind} here.`);
    }
  }

  private byte(): number {
    const byte = this.bytes[this.at];
    if (byte === undefined) throw new ThriftEnds();
    this.at += 1;
    return byte;
  }

  private skip(length: number): void {
    this.at += length;
    if (this.at > this.bytes.length) throw new ThriftEnds();
  }

  private varint(): number {
    let value = 0;
    for (let place = 1; place < 2 ** 63; place *= 128) {
      const byte = this.byte();
      value += (byte & 0x7f) * place;
      if (byte < 0x80) return value;
    }
    throw new ThriftMalformed('A number is too long.');
  }

  private zigzag(): number {
    const value = this.varint();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }
}
