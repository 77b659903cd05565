/** Why a file that looks like a table cannot be read as one. */
export const TABLE_PROBLEMS = [
  'truncated',
  'malformed',
  'too-large',
  'too-slow',
  'encrypted',
  'unsupported',
] as const;

export type TableProblemCode = (typeof TABLE_PROBLEMS)[number];

/** A fact about a file: reading it again, with the same options, ends the same way. */
export class TableProblem extends Error {
  constructor(
    readonly code: TableProblemCode,
    message: string,
  ) {
    super(message);
    this.name = 'TableProblem';
  }
}

/** What the caller asked of a table cannot be done: a column that is not there, SQL that does not parse. */
export class InvalidRequest extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'InvalidRequest';
  }
}

/** Two tables cannot be compared by what the caller named: keys that stand twice, or too much to tell. */
export class NotComparable extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'NotComparable';
  }
}

/** The types that a sample of the file suggested do not fit all of it. */
export class TypesTooNarrow extends Error {
  override readonly name = 'TypesTooNarrow';
}

const LONGEST_DETAIL = 500;

const TOO_LARGE =
  /out of memory|memory limit|max_temp_directory_size|failed to offload|maximum line size|maximum_object_size|line size of|object size/i;
const TRUNCATED =
  /too small|no magic bytes|could not read enough bytes|unexpected end|end of file/i;
const LATE_TYPE =
  /Error when converting column|JSON transform error|Type with name .* could not be converted/i;

/** Of an error of the engine: what it says, without where the server keeps its files. */
export function plainMessage(error: unknown): string {
  return wordsOf(error)
    .split('\n')
    .filter((line) => line.trim() !== '' && !/^\s*(file|File) ?[=:]/.test(line))
    .slice(0, 3)
    .join(' ')
    .replace(/(^|[\s(])(['"]?)\/[^\s'"]+\2/g, '$1the file')
    .slice(0, LONGEST_DETAIL);
}

/** What an error says of itself: what the engine advises afterwards names every setting there is. */
function wordsOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.split(/\n\s*Possible (?:fix|solution)/i, 1)[0] ?? '';
}

/** Turns what went wrong while a file was read into the fact about it. */
export function asFileProblem(error: unknown): Error {
  if (error instanceof TableProblem || error instanceof InvalidRequest) return error;
  if (error instanceof TypesTooNarrow || error instanceof NotComparable) return error;
  const { code } = (error ?? {}) as { code?: unknown };
  if (code === 'ENOENT' || code === 'ENOSPC' || code === 'EMFILE') return error as Error;
  const text = wordsOf(error);
  const detail = plainMessage(error);
  if (/No space left on device/i.test(text) || error instanceof TypeError) return error as Error;
  if (/No such file or directory/i.test(text)) {
    return Object.assign(new Error('The file is no longer there.'), { code: 'ENOENT' });
  }
  if (TOO_LARGE.test(text)) return new TableProblem('too-large', detail);
  if (LATE_TYPE.test(text)) return new TypesTooNarrow(detail);
  if (/encrypt/i.test(text)) return new TableProblem('encrypted', detail);
  if (/not (yet )?(supported|implemented)|unsupported/i.test(text)) {
    return new TableProblem('unsupported', detail);
  }
  return new TableProblem(TRUNCATED.test(text) ? 'truncated' : 'malformed', detail);
}
