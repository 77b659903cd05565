export const TABLE_FORMATS = [
  'csv',
  'tsv',
  'parquet',
  'json',
  'ndjson',
  'xlsx',
  'arrow',
  'avro',
] as const;

export type TableFormat = (typeof TABLE_FORMATS)[number];

export const TEXT_ENCODINGS = ['utf-8', 'utf-16le', 'utf-16be', 'windows-1252'] as const;

export type TextEncoding = (typeof TEXT_ENCODINGS)[number];

/** How a file is to be read; what is left out is guessed, and the answer tells the guess. */
export interface ReaderOptions {
  readonly format?: TableFormat;
  /** Of CSV: one character. */
  readonly delimiter?: string;
  /** Of CSV: one character, or the empty text where nothing is quoted. */
  readonly quote?: string;
  readonly escape?: string;
  /** Of CSV and Excel: whether the first row names the columns. */
  readonly header?: boolean;
  /** Of CSV: how many lines stand before the table. */
  readonly skip?: number;
  readonly encoding?: TextEncoding;
  /** Of Excel: the sheet's name; the first one unless told. */
  readonly sheet?: string;
  /** Of Excel: the cells that hold the table, such as `B2:F200`. */
  readonly range?: string;
}

/** A stored file, as the engine reads it. */
export interface TableSource {
  /** The bytes, which are never written to. */
  readonly path: string;
  /** What the file is called in its version; says something of its format. */
  readonly name: string;
  readonly mimeType: string;
  /** Where forms of it that are easier to read may lie: a path to which suffixes are added. */
  readonly prepared: string;
  readonly options: ReaderOptions;
  /** Types are taken from the whole file, because a sample of it is known to mislead. */
  readonly wholeSample: boolean;
}
