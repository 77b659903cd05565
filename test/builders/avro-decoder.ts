import { inflateRawSync } from 'node:zlib';

type Schema = string | Schema[] | { type: Schema; fields?: { name: string; type: Schema }[] };

const SYNC_BYTES = 16;

/**
 * Decodes an Avro file of records after the specification (https://avro.apache.org/docs/1.12.0/specification/),
 * sharing nothing with the reader that it is to test: records of null, int, long, double, string and unions.
 */
export function decodeAvro(file: Buffer): Record<string, unknown>[] {
  const header = new Bytes(file);
  if (header.take(4).toString('latin1') !== 'Obj\x01') throw new Error('This is no Avro.');
  const metadata = new Map<string, Buffer>();
  for (let count = header.long(); count !== 0; count = header.long()) {
    if (count < 0) header.long();
    for (let left = Math.abs(count); left > 0; left -= 1) {
      metadata.set(header.string(), header.take(header.long()));
    }
  }
  header.take(SYNC_BYTES);
  const schema = JSON.parse(String(metadata.get('avro.schema'))) as Schema;
  const isDeflated = String(metadata.get('avro.codec')) === 'deflate';
  const records: Record<string, unknown>[] = [];
  while (!header.isAtEnd) {
    const count = header.long();
    const block = header.take(header.long());
    const bytes = new Bytes(isDeflated ? inflateRawSync(block) : block);
    for (let n = 0; n < count; n += 1) records.push(valueOf(bytes, schema) as never);
    header.take(SYNC_BYTES);
  }
  return records;
}

function valueOf(bytes: Bytes, schema: Schema): unknown {
  if (Array.isArray(schema)) return valueOf(bytes, schema[bytes.long()] as Schema);
  if (typeof schema === 'object') {
    const { type, fields } = schema;
    if (!fields) return valueOf(bytes, type);
    return Object.fromEntries(fields.map((field) => [field.name, valueOf(bytes, field.type)]));
  }
  switch (schema) {
    case 'null':
      return null;
    case 'int':
    case 'long':
      return bytes.long();
    case 'double':
      return bytes.take(8).readDoubleLE();
    case 'string':
      return bytes.string();
    default:
      throw new Error(`A ${schema} is not decoded here.`);
  }
}

class Bytes {
  private at = 0;

  constructor(private readonly buffer: Buffer) {}

  get isAtEnd(): boolean {
    return this.at >= this.buffer.length;
  }

  take(length: number): Buffer {
    this.at += length;
    return this.buffer.subarray(this.at - length, this.at);
  }

  string(): string {
    return this.take(this.long()).toString('utf8');
  }

  long(): number {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = this.take(1)[0] as number;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return Number((value >> 1n) ^ -(value & 1n));
    }
  }
}
