import {
  CompressionType,
  DataType,
  RecordBatchReader,
  compressionRegistry,
  type Field,
  type RecordBatch,
} from 'apache-arrow';
import { decompress as lz4Decompress } from 'lz4js';
import { createReadStream } from 'node:fs';
import { zstdDecompressSync } from 'node:zlib';
import type { JsonValue } from '../../../core/json.js';
import { literal } from '../sql-text.js';
import { TableProblem } from '../table-problem.js';
import { arrowTypeText, arrowValue } from './arrow-values.js';
import type { DatasetReader, Relation } from './reader.js';
import { stageRows, type StagedColumn } from './staged-rows.js';

compressionRegistry.set(CompressionType.LZ4_FRAME, { decode: (bytes) => lz4Decompress(bytes) });
compressionRegistry.set(CompressionType.ZSTD, { decode: (bytes) => zstdDecompressSync(bytes) });

/** Arrow IPC, as a file (Feather 2) or a stream. */
export const arrowReader: DatasetReader = {
  formats: ['arrow'],

  async open(session, source, format): Promise<Relation> {
    const file = await stageRows(session, `${source.prepared}.arrow.parquet`, async () => {
      const reader = await openBatches(source.path);
      const fields = reader.schema.fields;
      return { columns: fields.map(columnOf), rows: rowsOf(reader, fields) };
    });
    return {
      format,
      from: `read_parquet(${literal(file)})`,
      rowNumber: 'file_row_number',
      files: [file],
      options: { format },
      guessed: [],
    };
  },
};

async function openBatches(path: string): Promise<RecordBatchReader> {
  try {
    const reader = await RecordBatchReader.from(createReadStream(path));
    return await reader.open();
  } catch (error) {
    throw asArrowProblem(error);
  }
}

function columnOf({ name, type }: Field<DataType>): StagedColumn {
  const text = arrowTypeText(type);
  if (!DataType.isBinary(type) && !DataType.isFixedSizeBinary(type)) return { name, type: text };
  return { name, type: 'VARCHAR', cast: (sql) => `from_base64(${sql})` };
}

async function* rowsOf(
  reader: RecordBatchReader,
  fields: readonly Field<DataType>[],
): AsyncGenerator<readonly JsonValue[]> {
  try {
    for await (const batch of reader as AsyncIterable<RecordBatch>) {
      const vectors = fields.map((_, at) => batch.getChildAt(at));
      for (let row = 0; row < batch.numRows; row += 1) {
        yield vectors.map((vector, at) =>
          arrowValue(vector?.get(row) as unknown, (fields[at] as Field<DataType>).type),
        );
      }
    }
  } catch (error) {
    throw asArrowProblem(error);
  }
}

function asArrowProblem(error: unknown): Error {
  if (error instanceof TableProblem) return error;
  const message = error instanceof Error ? error.message : String(error);
  const truncated = /expected to read|end of|unexpected EOF|invalid message/i.test(message);
  return new TableProblem(
    truncated ? 'truncated' : 'malformed',
    `The Arrow data cannot be read: ${message}`,
  );
}
