import { detectFormat } from '../detect.js';
import { readHead } from '../plain-text.js';
import type { Session } from '../session.js';
import type { TableFormat, TableSource } from '../source.js';
import { arrowReader } from './arrow.js';
import { avroReader } from './avro.js';
import { csvReader } from './csv.js';
import { excelReader } from './excel.js';
import { jsonReader } from './json.js';
import { parquetReader } from './parquet.js';
import type { DatasetReader, Relation } from './reader.js';

const READERS: ReadonlyMap<TableFormat, DatasetReader> = new Map(
  [csvReader, jsonReader, parquetReader, excelReader, arrowReader, avroReader].flatMap((reader) =>
    reader.formats.map((format) => [format, reader] as const),
  ),
);

/**
 * Makes a file readable as a table, by what it holds; null for one that is none.
 * @throws TableProblem
 */
export async function openTable(session: Session, source: TableSource): Promise<Relation | null> {
  const head = await readHead(source.path);
  // Of compressed bytes that are damaged nothing may be seen yet: reading them says what is wrong.
  if (head.bytes.length === 0 && !head.compression) return null;
  const format = source.options.format ?? detectFormat(head.bytes, source.name, source.mimeType);
  const reader = format && READERS.get(format);
  if (!format || !reader) return null;
  return reader.open(session, source, format, head);
}
