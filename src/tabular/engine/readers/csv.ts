import { guessDelimiter, fieldCounts } from '../csv-dialect.js';
import { decodeHead, guessEncoding, gzipProves, plainTextFile, type Head } from '../plain-text.js';
import type { Session } from '../session.js';
import type { ReaderOptions, TableFormat } from '../source.js';
import { identifier, literal } from '../sql-text.js';
import { TableProblem } from '../table-problem.js';
import { settleTypes, type SniffedColumn, type SniffedFormats } from './csv-types.js';
import { MAX_COLUMNS, type DatasetReader, type Relation } from './reader.js';

const WIDE_COLUMNS = 1000;

interface Sniffed extends SniffedFormats {
  readonly header: boolean;
  readonly columns: readonly SniffedColumn[];
}

/**
 * CSV and TSV. Delimiter, quote and encoding are settled here and then told to the engine: left to
 * itself it would rather change the dialect than find a quote that is never closed.
 */
export const csvReader: DatasetReader = {
  formats: ['csv', 'tsv'],

  async open(session, source, format, head): Promise<Relation> {
    const options = settle(source.options, format, head);
    const file = await plainTextFile(source, head, options.encoding, session.limits.scratchBytes);
    const found = await sniff(session, file, options, source.wholeSample);
    const texts = found.columns.map(({ name }) => ({ name, type: 'VARCHAR' }));
    const sniffed = {
      ...found,
      columns: await settleTypes(
        session,
        fromClause(file, options, { ...found, columns: texts }),
        found.columns,
        found,
        { head: decodeHead(head.bytes, options.encoding), wholeSample: source.wholeSample },
      ),
    };
    // Each thread holds a vector for every column: of thousands, one thread's are enough.
    if (sniffed.columns.length > WIDE_COLUMNS) await session.run('SET threads = 1');
    const guessed = (['delimiter', 'header', 'encoding'] as const).filter(
      (name) => source.options[name] === undefined && !(name === 'delimiter' && format === 'tsv'),
    );
    return {
      format,
      from: fromClause(file, options, sniffed),
      files: [file],
      options: { ...options, header: sniffed.header },
      guessed,
      prove: gzipProves(head),
    };
  },
};

type Settled = ReaderOptions &
  Required<Pick<ReaderOptions, 'delimiter' | 'quote' | 'escape' | 'skip' | 'encoding'>>;

function settle(given: ReaderOptions, format: TableFormat, { bytes }: Head): Settled {
  const encoding = given.encoding ?? guessEncoding(bytes);
  const text = decodeHead(bytes, encoding);
  const quote = given.quote ?? '"';
  const delimiter = given.delimiter ?? (format === 'tsv' ? '\t' : guessDelimiter(text, quote));
  const widest = Math.max(1, ...fieldCounts(text, delimiter, quote));
  if (widest > MAX_COLUMNS) {
    throw new TableProblem('too-large', `It has ${widest} columns; ${MAX_COLUMNS} can be read.`);
  }
  return {
    ...given,
    format,
    encoding,
    quote,
    delimiter,
    escape: given.escape ?? quote,
    skip: given.skip ?? 0,
  };
}

async function sniff(
  session: Session,
  file: string,
  options: Settled,
  wholeSample: boolean,
): Promise<Sniffed> {
  const header = options.header === undefined ? '' : `, header = ${options.header}`;
  const sample = wholeSample ? ', sample_size = -1' : '';
  const [hasHeader, columns, dateFormat, timestampFormat] = await session.row<
    [boolean, { name: string; type: string }[], string | null, string | null]
  >(
    `SELECT HasHeader, Columns, DateFormat, TimestampFormat
     FROM sniff_csv(${literal(file)}, ${dialect(options)}${header}${sample})`,
  );
  if (columns.length > MAX_COLUMNS) {
    throw new TableProblem(
      'too-large',
      `It has ${columns.length} columns; ${MAX_COLUMNS} can be read.`,
    );
  }
  return { header: hasHeader, columns, dateFormat, timestampFormat };
}

function dialect({ delimiter, quote, escape, skip }: Settled): string {
  return `delim = ${literal(delimiter)}, quote = ${literal(quote)}, escape = ${literal(escape)}, skip = ${skip}, comment = ''`;
}

function fromClause(file: string, options: Settled, sniffed: Sniffed): string {
  const columns = sniffed.columns.map(({ name, type }) => `${identifier(name)}: ${literal(type)}`);
  const formats = [
    sniffed.dateFormat && `, dateformat = ${literal(sniffed.dateFormat)}`,
    sniffed.timestampFormat && `, timestampformat = ${literal(sniffed.timestampFormat)}`,
  ];
  return `read_csv(${literal(file)}, auto_detect = false, strict_mode = true, ${dialect(options)},
    header = ${sniffed.header}, columns = {${columns.join(', ')}}${formats.filter(Boolean).join('')})`;
}
