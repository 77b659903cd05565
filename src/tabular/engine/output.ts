import { createWriteStream } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { arrowStream } from './arrow-output.js';
import { csvColumns, jsonSelection } from './projection.js';
import type { EngineColumn, Session } from './session.js';
import { identifier, literal } from './sql-text.js';

export const OUTPUT_FORMATS = ['json', 'ndjson', 'csv', 'parquet', 'arrow'] as const;

export type OutputFormat = (typeof OUTPUT_FORMATS)[number];

/**
 * Writes a result to a file or a named pipe. The engine writes itself wherever it can: rows that
 * JavaScript never sees cost it nothing, and a pipe that is not read stops the engine.
 */
export async function writeResult(
  session: Session,
  select: string,
  columns: readonly EngineColumn[],
  format: OutputFormat,
  target: string,
): Promise<void> {
  if (format === 'arrow') {
    const pieces = arrowStream(session, select, columns);
    await pipeline(Readable.from(pieces), createWriteStream(target));
    return;
  }
  const settings = {
    json: 'FORMAT json, ARRAY true',
    ndjson: 'FORMAT json',
    csv: 'FORMAT csv, HEADER true',
    parquet: 'FORMAT parquet, COMPRESSION zstd',
  }[format];
  await session.run(
    `COPY (SELECT ${selectionFor(format, columns)} FROM (${select}\n)) TO ${literal(target)} (${settings}, USE_TMP_FILE false)`,
  );
}

function selectionFor(format: OutputFormat, columns: readonly EngineColumn[]): string {
  if (format === 'parquet') return '*';
  if (format !== 'csv') return jsonSelection(columns);
  return csvColumns(columns)
    .map(({ name, sql }) => `${sql} AS ${identifier(name)}`)
    .join(', ');
}
