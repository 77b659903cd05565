import { RecordBatch, RecordBatchStreamWriter, Schema, Struct, makeData } from 'apache-arrow';
import { RawVector, type ArrowColumn } from './arrow-column.js';
import { arrowColumn, isDirect } from './arrow-columns.js';
import { jsonOf } from './projection.js';
import type { EngineColumn, Session } from './session.js';
import { identifier } from './sql-text.js';

/** A record batch holds at most so many rows: large enough that its own head weighs nothing. */
const ROWS_PER_BATCH = 131_072;
/** It has fewer where its columns are many, down to one of the engine's own chunks. */
const ROWS_PER_CHUNK = 2048;
const VALUE_BYTES = 8;
/** So much of what has a fixed length, and ends earlier where its texts are long: its memory is bounded. */
const BYTES_PER_BATCH = 8 * 1024 * 1024;

export interface ArrowOptions {
  readonly maximumRows?: number;
  /** Told how many rows there were, those beyond the maximum included. */
  readonly onRows?: (count: number) => void;
}

/**
 * Writes a result as an Arrow IPC stream, column by column out of the engine's own vectors. What Arrow
 * and the engine do not share (nested values, 128-bit numbers) goes as text, JSON where it is nested.
 * @returns the bytes in their order, in pieces that lie in memory which is used again and again: while
 *   some are being written the next can be asked for, but not those after them
 */
export async function* arrowStream(
  session: Session,
  select: string,
  columns: readonly EngineColumn[],
  parameters: readonly string[] = [],
  { maximumRows = Infinity, onRows }: ArrowOptions = {},
): AsyncGenerator<readonly Uint8Array[]> {
  const most = rowsPerBatch(columns.length);
  const newBuffers = () => columns.map(({ name, type }) => arrowColumn(name, type, most));
  let [buffers, others] = [newBuffers(), newBuffers()];
  const messages = new MessageWriter();
  const schema = new Schema(buffers.map(({ field }) => field));
  let seen = 0;
  let held = 0;
  let begun = false;
  const flush = (): readonly Uint8Array[] => {
    messages.write(batchOf(schema, buffers, held));
    [buffers, others] = [others, buffers];
    begun = true;
    held = 0;
    return messages.take();
  };
  const sql = `SELECT ${arrowSelection(columns)} FROM (${select})`;
  for await (const chunk of session.chunks(sql, parameters)) {
    const wanted = Math.min(chunk.rowCount, Math.max(0, maximumRows - seen));
    // Bitmaps are put together byte by byte, so a batch grows by whole bytes of them only.
    const heldBytes = buffers.reduce((sum, buffer) => sum + buffer.heldBytes, 0);
    const isFull = held + wanted > most || heldBytes > BYTES_PER_BATCH;
    if (held % 8 !== 0 || isFull) yield flush();
    buffers.forEach((buffer, at) => buffer.append(RawVector.of(chunk, at), wanted));
    held += wanted;
    // Asked last: a chunk's memory is let go of when nobody mentions it any more, vectors or not.
    seen += chunk.rowCount;
  }
  onRows?.(seen);
  if (held > 0 || !begun) yield flush();
  messages.finish();
  yield messages.take();
}

function rowsPerBatch(columns: number): number {
  const chunks = Math.floor(BYTES_PER_BATCH / (columns * VALUE_BYTES * ROWS_PER_CHUNK));
  return Math.min(ROWS_PER_BATCH, Math.max(1, chunks) * ROWS_PER_CHUNK);
}

function arrowSelection(columns: readonly EngineColumn[]): string {
  return columns
    .map(({ name, type }) => {
      const column = identifier(name);
      return isDirect(type) ? column : `${jsonOf(column, type)}::VARCHAR AS ${column}`;
    })
    .join(', ');
}

function batchOf(schema: Schema, columns: readonly ArrowColumn[], rows: number): RecordBatch {
  const children = columns.map((column) => column.take(rows));
  const type = new Struct(schema.fields);
  return new RecordBatch(schema, makeData({ type, length: rows, nullCount: 0, children }));
}

/** Gives an Arrow stream away in the pieces of which it is made, instead of joining copies of them. */
class MessageWriter extends RecordBatchStreamWriter {
  private pieces: Uint8Array[] = [];

  take(): readonly Uint8Array[] {
    const { pieces } = this;
    this.pieces = [];
    return pieces;
  }

  protected override _write(piece: ArrayBufferView): this {
    if (this._started && piece.byteLength > 0) {
      this.pieces.push(new Uint8Array(piece.buffer, piece.byteOffset, piece.byteLength));
      this._position += piece.byteLength;
    }
    return this;
  }
}
