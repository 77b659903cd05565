import { open } from 'node:fs/promises';
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
    await writePieces(arrowStream(session, select, columns), target);
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

/** Writes pieces while the next are made: a pipe that is not read stops this as well. */
async function writePieces(
  stream: AsyncIterable<readonly Uint8Array[]>,
  target: string,
): Promise<void> {
  const file = await open(target, 'w');
  let written: Promise<unknown> = Promise.resolve();
  try {
    for await (const pieces of stream) {
      await written;
      written = file.writev(pieces);
      // It is awaited above and below; until then nobody is to be surprised by its failure.
      written.catch(() => undefined);
    }
    await written;
  } finally {
    await written.catch(() => undefined);
    await file.close();
  }
}

function selectionFor(format: OutputFormat, columns: readonly EngineColumn[]): string {
  if (format === 'parquet') return '*';
  if (format !== 'csv') return jsonSelection(columns);
  return csvColumns(columns)
    .map(({ name, sql }) => `${sql} AS ${identifier(name)}`)
    .join(', ');
}
