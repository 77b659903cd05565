import avro from 'avsc';
import { uncompress as snappyUncompress } from 'snappyjs';
import { createReadStream } from 'node:fs';
import { pipeline, type Readable } from 'node:stream';
import { crc32, inflateRaw, zstdDecompress } from 'node:zlib';
import { literal } from '../sql-text.js';
import { TableProblem } from '../table-problem.js';
import { checkBlocks } from './avro-blocks.js';
import { avroTypeText, avroValue, bigLong, typeHook, type AvroType } from './avro-values.js';
import type { DatasetReader, Relation } from './reader.js';
import { stageRows, type StagedColumn } from './staged-rows.js';

/** What one block of records may inflate to. */
const MAX_BLOCK_BYTES = 64 * 1024 * 1024;

type Done = (error: Error | null, bytes?: Buffer) => void;

const CODECS: Record<string, (bytes: Buffer, done: Done) => void> = {
  null: (bytes, done) => done(null, bytes),
  deflate: (bytes, done) => inflateRaw(bytes, { maxOutputLength: MAX_BLOCK_BYTES }, done),
  zstandard: (bytes, done) => zstdDecompress(bytes, { maxOutputLength: MAX_BLOCK_BYTES }, done),
  // Each block ends with the checksum of what it inflates to.
  snappy: (bytes, done) => {
    try {
      const plain = Buffer.from(snappyUncompress(bytes.subarray(0, -4), MAX_BLOCK_BYTES));
      if (crc32(plain) !== bytes.readUInt32BE(bytes.length - 4)) {
        throw new TableProblem('malformed', 'A block of the Avro file does not fit its checksum.');
      }
      done(null, plain);
    } catch (error) {
      done(error as Error);
    }
  },
};

/** Avro object container files. */
export const avroReader: DatasetReader = {
  formats: ['avro'],

  async open(session, source, format): Promise<Relation> {
    const file = await stageRows(session, `${source.prepared}.avro.parquet`, async () => {
      await checkBlocks(source.path);
      const decoder = openDecoder(source.path);
      const type = await typeOf(decoder);
      const columns = columnsOf(type);
      return { columns, rows: rowsOf(decoder, type) };
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

function openDecoder(path: string): Readable {
  const decoder = new avro.streams.BlockDecoder({
    codecs: CODECS,
    parseHook: (schema: unknown) =>
      avro.Type.forSchema(schema as avro.Schema, {
        registry: { long: bigLong },
        typeHook,
        wrapUnions: true,
      }),
  }) as unknown as Readable & NodeJS.WritableStream;
  pipeline(createReadStream(path), decoder, () => undefined);
  return decoder;
}

function typeOf(decoder: Readable): Promise<AvroType> {
  return new Promise((resolve, reject) => {
    decoder.once('metadata', (type: AvroType) => resolve(type));
    decoder.once('error', (error) => reject(asAvroProblem(error)));
    decoder.once('close', () => reject(asAvroProblem(new Error('truncated header'))));
  });
}

function columnsOf(type: AvroType): StagedColumn[] {
  const columns = type.fields ?? [{ name: 'value', type }];
  return columns.map((field) => ({ name: field.name, type: avroTypeText(field.type) }));
}

async function* rowsOf(decoder: Readable, type: AvroType) {
  try {
    for await (const record of decoder as AsyncIterable<unknown>) {
      yield type.fields
        ? type.fields.map((field) =>
            avroValue((record as Record<string, unknown>)[field.name], field.type),
          )
        : [avroValue(record, type)];
    }
  } catch (error) {
    throw asAvroProblem(error);
  }
}

function asAvroProblem(error: unknown): Error {
  if (error instanceof TableProblem) return error;
  const message = error instanceof Error ? error.message : String(error);
  const truncated = /truncated|premature|end of/i.test(message);
  return new TableProblem(
    truncated ? 'truncated' : 'malformed',
    `The Avro data cannot be read: ${message}`,
  );
}
