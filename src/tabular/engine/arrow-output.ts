import { RecordBatch, RecordBatchStreamWriter, Schema, Struct, makeData } from 'apache-arrow';
import type { ArrowColumn } from './arrow-column.js';
import { arrowColumn, isDirect } from './arrow-columns.js';
import { jsonOf } from './projection.js';
import type { EngineColumn, Session } from './session.js';
import { identifier } from './sql-text.js';

/** A record batch holds at most so many rows: large enough that its own head weighs nothing. */
const ROWS_PER_BATCH = 65_536;
/** It ends earlier where its texts are long, so that a batch's memory is bounded. */
const BYTES_PER_BATCH = 8 * 1024 * 1024;

/** What ends an Arrow stream: a continuation marker and no length. */
const END = Buffer.from([0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);

export interface ArrowOptions {
  readonly maximumRows?: number;
  /** Told how many rows there were, those beyond the maximum included. */
  readonly onRows?: (count: number) => void;
}

/**
 * Writes a result as an Arrow IPC stream, column by column out of the engine's own vectors. What Arrow
 * and the engine do not share (nested values, 128-bit numbers) goes as text, JSON where it is nested.
 */
export async function* arrowStream(
  session: Session,
  select: string,
  columns: readonly EngineColumn[],
  parameters: readonly string[] = [],
  { maximumRows = Infinity, onRows }: ArrowOptions = {},
): AsyncGenerator<Uint8Array> {
  const result = await session.stream(
    `SELECT ${arrowSelection(columns)} FROM (${select})`,
    parameters,
  );
  const buffers = columns.map(({ name, type }) => arrowColumn(name, type, ROWS_PER_BATCH));
  const schema = new Schema(buffers.map(({ field }) => field));
  let seen = 0;
  let held = 0;
  let begun = false;
  const flush = (): Uint8Array => {
    const piece = messageOf(schema, buffers, held, begun);
    begun = true;
    held = 0;
    return piece;
  };
  for (;;) {
    const chunk = await result.fetchChunk();
    if (!chunk || chunk.rowCount === 0) break;
    const wanted = Math.min(chunk.rowCount, Math.max(0, maximumRows - seen));
    seen += chunk.rowCount;
    // Bitmaps are put together byte by byte, so a batch grows by whole bytes of them only.
    const heldBytes = buffers.reduce((sum, buffer) => sum + buffer.heldBytes, 0);
    const isFull = held + wanted > ROWS_PER_BATCH || heldBytes > BYTES_PER_BATCH;
    if (held % 8 !== 0 || isFull) yield flush();
    buffers.forEach((buffer, at) => buffer.append(chunk.getColumnVector(at), wanted));
    held += wanted;
  }
  onRows?.(seen);
  if (held > 0 || !begun) yield flush();
  yield END;
}

function arrowSelection(columns: readonly EngineColumn[]): string {
  return columns
    .map(({ name, type }) => {
      const column = identifier(name);
      return isDirect(type) ? column : `${jsonOf(column, type)}::VARCHAR AS ${column}`;
    })
    .join(', ');
}

/** A record batch as it stands in a stream; the first is preceded by the schema. */
function messageOf(
  schema: Schema,
  columns: readonly ArrowColumn[],
  rows: number,
  begun: boolean,
): Uint8Array {
  const children = columns.map((column) => column.take(rows));
  const type = new Struct(schema.fields);
  const batch = new RecordBatch(schema, makeData({ type, length: rows, nullCount: 0, children }));
  const stream = RecordBatchStreamWriter.writeAll([batch]).toUint8Array(true);
  // The library writes whole streams: ours keeps the schema of the first and the end of none.
  const schemaBytes = 8 + Buffer.from(stream.buffer, stream.byteOffset).readInt32LE(4);
  return stream.subarray(begun ? schemaBytes : 0, stream.length - END.length);
}
