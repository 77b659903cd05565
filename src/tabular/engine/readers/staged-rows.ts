import { createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { JsonValue } from '../../../core/json.js';
import { preparedFile } from '../plain-text.js';
import type { Session } from '../session.js';
import { identifier, literal } from '../sql-text.js';
import { TableProblem } from '../table-problem.js';
import { MAX_COLUMNS } from './reader.js';

/** A column of rows that come from a reader of our own. */
export interface StagedColumn {
  readonly name: string;
  /** The engine's name of the type that the JSON is read as. */
  readonly type: string;
  /** Makes the column's value of what was read, where that is of another type. */
  readonly cast?: (sql: string) => string;
}

const BATCH = 500;

/**
 * Turns rows that the engine cannot read itself into Parquet, once for each content.
 * @param rows JSON values in the columns' order
 * @returns where the Parquet lies
 */
export function stageRows(
  session: Session,
  path: string,
  open: () => Promise<{
    columns: readonly StagedColumn[];
    rows: AsyncIterable<readonly JsonValue[]> | Iterable<readonly JsonValue[]>;
  }>,
): Promise<string> {
  return preparedFile(path, async (target) => {
    const { columns, rows } = await open();
    if (columns.length > MAX_COLUMNS) {
      throw new TableProblem(
        'too-large',
        `It has ${columns.length} columns; ${MAX_COLUMNS} can be read.`,
      );
    }
    const lines = `${target}.ndjson`;
    try {
      await pipeline(
        Readable.from(batches(rows, session.limits.scratchBytes)),
        createWriteStream(lines),
      );
      await session.run(copyStatement(lines, target, uniqueNames(columns)));
    } finally {
      await rm(lines, { force: true });
    }
  });
}

/** Names are given at the end: as members of JSON, `__proto__` and the like would mean something else. */
function copyStatement(lines: string, target: string, columns: readonly StagedColumn[]): string {
  const types = columns.map(({ type }, at) => `c${at}: ${literal(type)}`);
  const selection = columns.map(({ name, cast }, at) => {
    return `${cast ? cast(`c${at}`) : `c${at}`} AS ${identifier(name)}`;
  });
  return `COPY (
      SELECT ${selection.join(', ')} FROM read_json(${literal(lines)}, format = 'newline_delimited',
        columns = {${types.join(', ')}}, maximum_object_size = ${16 * 1024 * 1024})
    ) TO ${literal(target)} (FORMAT parquet, COMPRESSION zstd)`;
}

async function* batches(
  rows: AsyncIterable<readonly JsonValue[]> | Iterable<readonly JsonValue[]>,
  maximumBytes: number,
): AsyncGenerator<string> {
  let lines: string[] = [];
  let left = maximumBytes;
  const take = (): string => {
    const text = lines.join('');
    lines = [];
    left -= text.length;
    if (left < 0) throw new TableProblem('too-large', `It holds more than ${maximumBytes} bytes.`);
    return text;
  };
  for await (const row of rows) {
    const members = row.map((value, at) => `"c${at}":${JSON.stringify(value)}`);
    lines.push(`{${members.join(',')}}\n`);
    if (lines.length === BATCH) yield take();
  }
  yield take();
}

/** Every column with a name that no other one has; one without a name is called by its place. */
export function uniqueNames<T extends { readonly name: string }>(columns: readonly T[]): T[] {
  const taken = new Set<string>();
  return columns.map((column, at) => {
    const wanted = column.name === '' ? `column${at}` : column.name;
    let name = wanted;
    for (let copy = 1; taken.has(name.toLowerCase()); copy += 1) name = `${wanted}_${copy}`;
    taken.add(name.toLowerCase());
    return { ...column, name };
  });
}
