import { parseCellRef, readXlsx, streamXlsxRows } from 'hucre/xlsx';
import { createHash } from 'node:crypto';
import { access, readFile, writeFile } from 'node:fs/promises';
import type { JsonValue } from '../../../core/json.js';
import type { Session } from '../session.js';
import type { ReaderOptions, TableSource } from '../source.js';
import { literal } from '../sql-text.js';
import { InvalidRequest, TableProblem } from '../table-problem.js';
import { checkWorkbook } from './excel-archive.js';
import { MAX_COLUMNS, type DatasetReader, type Relation } from './reader.js';
import { stageRows, type StagedColumn } from './staged-rows.js';

/** A workbook is read whole: what is larger belongs into another format. */
const MAX_FILE_BYTES = 128 * 1024 * 1024;

/** One sheet of a workbook, and what the others are called. */
interface Book {
  readonly sheets: readonly string[];
  readonly sheet: string;
  readonly header: boolean;
}

type ReadBook = (session: Session, source: TableSource, file: string) => Promise<Book>;

type Cell = string | number | boolean | Date | null;

/** Excel's .xlsx: each sheet is a table. Rows without any value are left out. */
export const excelReader: DatasetReader & { read: ReadBook } = {
  formats: ['xlsx'],

  async open(session, source, format): Promise<Relation> {
    const { sheet: wanted, range, header } = source.options;
    const key = createHash('sha256')
      .update(JSON.stringify([wanted, range, header]))
      .digest('hex');
    const stem = `${source.prepared}.${key.slice(0, 16)}`;
    const file = `${stem}.parquet`;
    const known = await recall(`${stem}.json`, file);
    const book = known ?? (await this.read(session, source, file));
    if (!known) await writeFile(`${stem}.json`, JSON.stringify(book));
    return {
      format,
      from: `read_parquet(${literal(file)})`,
      rowNumber: 'file_row_number',
      files: [file],
      options: {
        format,
        sheet: book.sheet,
        header: book.header,
        ...(range !== undefined && { range }),
      },
      guessed: guessedOf(source.options),
      sheets: book.sheets,
    };
  },

  async read(session, { path, options }, file): Promise<Book> {
    await checkWorkbook(path, MAX_FILE_BYTES);
    const bytes = await readFile(path);
    const sheets = await sheetNames(bytes);
    const sheet = options.sheet ?? sheets[0];
    if (sheet === undefined) throw new TableProblem('malformed', 'The workbook has no sheet.');
    if (!sheets.includes(sheet)) {
      const named = sheets.slice(0, 20).map((name) => JSON.stringify(name));
      throw new InvalidRequest(
        `There is no sheet ${JSON.stringify(sheet)}; there are ${named.join(', ')}.`,
      );
    }
    // Read twice: to find the types, which the rows alone tell, and to keep the rows.
    const cells = () => rowsOf(bytes, sheet, options.range);
    const layout = await layoutOf(cells(), options.header);
    const open = async () => ({ columns: layout.columns, rows: valuesOf(cells(), layout) });
    await stageRows(session, file, open);
    return { sheets, sheet, header: layout.header };
  },
};

/** What is known of a workbook that was read before; null where it has to be read. */
async function recall(path: string, file: string): Promise<Book | null> {
  try {
    await access(file);
    return JSON.parse(await readFile(path, 'utf8')) as Book;
  } catch {
    return null;
  }
}

function guessedOf(given: ReaderOptions): ('sheet' | 'header')[] {
  return (['sheet', 'header'] as const).filter((name) => given[name] === undefined);
}

async function sheetNames(bytes: Buffer): Promise<string[]> {
  const names: string[] = [];
  try {
    await readXlsx(bytes, {
      sheets: ({ name }) => {
        names.push(name);
        return false;
      },
    });
  } catch (error) {
    if (names.length === 0) throw asExcelProblem(error);
  }
  return names;
}

async function* rowsOf(
  bytes: Buffer,
  sheet: string,
  range?: string,
): AsyncGenerator<readonly Cell[]> {
  // Cells outside the range come as nulls: its columns are cut out, its rows are all that come.
  const window = range?.split(':').map((cell) => parseCellRef(cell).col) as
    [number, number] | undefined;
  try {
    for await (const { values } of streamXlsxRows(bytes, { sheet, ...(range && { range }) })) {
      if (values.length > MAX_COLUMNS) {
        throw new TableProblem(
          'too-large',
          `It has ${values.length} columns; ${MAX_COLUMNS} can be read.`,
        );
      }
      const cells = window ? values.slice(window[0], window[1] + 1) : values;
      if (cells.some((cell) => cell !== null && cell !== undefined && cell !== '')) {
        yield cells;
      }
    }
  } catch (error) {
    throw asExcelProblem(error);
  }
}

function asExcelProblem(error: unknown): unknown {
  if (error instanceof TableProblem) return error;
  const message = error instanceof Error ? error.message : String(error);
  if (/password|encrypt/i.test(message)) return new TableProblem('encrypted', 'It is encrypted.');
  if (/limit|bomb|too large/i.test(message)) return new TableProblem('too-large', message);
  return new TableProblem('malformed', `The workbook cannot be read: ${message}`);
}

interface Layout {
  readonly header: boolean;
  readonly columns: readonly (StagedColumn & { readonly at: number; readonly kind: Kind })[];
}

type Kind = 'boolean' | 'integer' | 'number' | 'date' | 'timestamp' | 'text';

const TYPES: Record<Kind, string> = {
  boolean: 'BOOLEAN',
  integer: 'BIGINT',
  number: 'DOUBLE',
  date: 'DATE',
  timestamp: 'TIMESTAMP',
  text: 'VARCHAR',
};

/** Finds the columns: the first row names them where it is all text and some later row is not. */
async function layoutOf(rows: AsyncIterable<readonly Cell[]>, given?: boolean): Promise<Layout> {
  let first: readonly Cell[] = [];
  let isFirst = true;
  const below: (Kind | null)[] = [];
  const widen = (row: readonly Cell[]) =>
    row.forEach((cell, at) => (below[at] = wider(below[at] ?? null, kindOf(cell))));
  for await (const row of rows) {
    if (isFirst) first = row;
    else widen(row);
    isFirst = false;
  }
  const width = Math.max(first.length, below.length);
  // What stands beside the table, before it or after, is no column of it.
  const places = Array.from({ length: width }, (_, at) => at).filter(
    (at) => kindOf(first[at]) !== null || (below[at] ?? null) !== null,
  );
  const header = given ?? places.every((at) => typeof first[at] === 'string' && first[at] !== '');
  if (!header) widen(first);
  return {
    header,
    columns: places.map((at) => {
      const kind = below[at] ?? 'text';
      return {
        at,
        kind,
        name: header ? textOf(first[at] ?? null) : `column${at}`,
        type: TYPES[kind],
      };
    }),
  };
}

function kindOf(cell: Cell | undefined): Kind | null {
  if (cell === null || cell === undefined) return null;
  if (typeof cell === 'boolean') return 'boolean';
  if (typeof cell === 'number') return Number.isSafeInteger(cell) ? 'integer' : 'number';
  if (cell instanceof Date) return cell.getTime() % 86_400_000 === 0 ? 'date' : 'timestamp';
  return 'text';
}

/** The kind that holds the values of both. */
function wider(a: Kind | null, b: Kind | null): Kind | null {
  if (a === null || a === b) return b;
  if (b === null) return a;
  const both = new Set([a, b]);
  if (both.has('integer') && both.has('number')) return 'number';
  if (both.has('date') && both.has('timestamp')) return 'timestamp';
  return 'text';
}

async function* valuesOf(
  rows: AsyncIterable<readonly Cell[]>,
  { header, columns }: Layout,
): AsyncGenerator<readonly JsonValue[]> {
  let named = !header;
  for await (const row of rows) {
    if (named) yield columns.map(({ at, kind }) => valueOf(row[at] ?? null, kind));
    named = true;
  }
}

function valueOf(cell: Cell, kind: Kind): JsonValue {
  if (cell === null) return null;
  if (cell instanceof Date) {
    if (Number.isNaN(cell.getTime())) return null;
    const text = cell.toISOString();
    return kind === 'date' ? text.slice(0, 10) : text.slice(0, 23);
  }
  return kind === 'text' ? textOf(cell) : cell;
}

function textOf(cell: Cell): string {
  if (cell instanceof Date) return Number.isNaN(cell.getTime()) ? '' : cell.toISOString();
  return cell === null ? '' : String(cell);
}
