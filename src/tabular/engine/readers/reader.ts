import type { Head } from '../plain-text.js';
import type { Session } from '../session.js';
import type { ReaderOptions, TableFormat, TableSource } from '../source.js';

/** The most columns that a table may have. */
export const MAX_COLUMNS = 10_000;

/** A table that the engine can read. */
export interface Relation {
  readonly format: TableFormat;
  /** What stands after FROM. */
  readonly from: string;
  /** A column that is in no list of them: each row's number, from 0. Where there is none, rows are counted. */
  readonly rowNumber?: string;
  /** The files that reading it opens. */
  readonly files: readonly string[];
  /** How it is read, guesses included. */
  readonly options: ReaderOptions;
  /** Which of the options were guessed. */
  readonly guessed: readonly (keyof ReaderOptions)[];
  /**
   * Has the file's bytes proven as far as its format allows, when all of it is read.
   * @returns whether all of its data stand under checksums of the format, which fit
   * @throws TableProblem
   */
  readonly prove?: () => Promise<boolean>;
  /** The sheets of the workbook that it is one of. */
  readonly sheets?: readonly string[];
}

/** Reads one family of formats. */
export interface DatasetReader {
  readonly formats: readonly TableFormat[];
  /**
   * Finds out how the table is to be read, and makes it readable where the engine cannot read it itself.
   * @throws TableProblem for a file that breaks its format's rules
   */
  open(session: Session, source: TableSource, format: TableFormat, head: Head): Promise<Relation>;
}
