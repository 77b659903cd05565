import { DuckDBTypeId } from '@duckdb/node-api';
import { decodeHead, guessEncoding, gzipProves, plainTextFile } from '../plain-text.js';
import type { EngineColumn } from '../session.js';
import { identifier, literal } from '../sql-text.js';
import { TableProblem } from '../table-problem.js';
import { MAX_COLUMNS, type DatasetReader, type Relation } from './reader.js';

/** Deeper than any data, and far from where the engine's own recursion ends its process. */
const MAX_DEPTH = 500;
const MAX_OBJECT_BYTES = 16 * 1024 * 1024;

/** JSON: a list of records, one record, an object of records, or one record a line. */
export const jsonReader: DatasetReader = {
  formats: ['json', 'ndjson'],

  async open(session, source, format, head): Promise<Relation> {
    const encoding = source.options.encoding ?? guessEncoding(head.bytes);
    const text = decodeHead(head.bytes, encoding);
    checkDepth(text);
    const file = await plainTextFile(source, head, encoding, session.limits.scratchBytes);
    const shape = shapeOf(text, format === 'ndjson');
    const from = `read_json(${literal(file)}, format = '${shape}', sample_size = ${source.wholeSample ? -1 : 20_480},
      maximum_object_size = ${MAX_OBJECT_BYTES})`;
    const columns = await session.columns(from);
    if (columns.length > MAX_COLUMNS) {
      throw new TableProblem(
        'too-large',
        `It has ${columns.length} columns; ${MAX_COLUMNS} can be read.`,
      );
    }
    return {
      format,
      from: shape === 'unstructured' ? recordsOf(from, columns) : onlyRecords(from, columns),
      files: [file],
      options: { ...source.options, format, encoding },
      guessed: source.options.encoding === undefined ? ['encoding'] : [],
      prove: gzipProves(head),
    };
  },
};

/** How the records stand in the text. */
function shapeOf(text: string, lines: boolean): 'array' | 'newline_delimited' | 'unstructured' {
  if (lines) return 'newline_delimited';
  return text.trimStart().startsWith('[') ? 'array' : 'unstructured';
}

/**
 * What nobody wants a value of, as in `count(*)`, the engine does not look at: it would count what is no
 * record. One value of each has it look.
 */
function onlyRecords(from: string, [first]: readonly EngineColumn[]): string {
  if (!first) return from;
  return `(SELECT * FROM ${from} WHERE hash(${identifier(first.name)}) IS NOT NULL)`;
}

/** An object whose members are all objects is a table of them: each is a row, and its name the key. */
function recordsOf(from: string, columns: readonly EngineColumn[]): string {
  const areRecords =
    columns.length > 1 && columns.every(({ type }) => type.typeId === DuckDBTypeId.STRUCT);
  if (!areRecords) return from;
  const rows = columns.map(
    ({ name }) => `SELECT ${literal(name)} AS "key", unnest(${identifier(name)}) FROM whole`,
  );
  return `(WITH whole AS MATERIALIZED (SELECT * FROM ${from}) ${rows.join(' UNION ALL BY NAME ')})`;
}

/** @throws TableProblem for what nests deeper than the engine's stack reaches */
function checkDepth(text: string): void {
  let depth = 0;
  let quoted = false;
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at];
    if (quoted) {
      if (character === '\\') at += 1;
      else if (character === '"') quoted = false;
    } else if (character === '"') quoted = true;
    else if (character === '[' || character === '{') depth += 1;
    else if (character === ']' || character === '}') depth -= 1;
    if (depth > MAX_DEPTH) {
      throw new TableProblem('malformed', `It nests deeper than ${MAX_DEPTH} levels.`);
    }
  }
}
