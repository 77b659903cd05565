import { open, type FileHandle } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { TableProblem } from '../table-problem.js';
import { ThriftEnds, readStruct, type ThriftStruct } from './thrift-struct.js';

/** A column's values in one group of rows, as the file's own directory says. */
export interface ColumnChunk {
  readonly column: string;
  readonly offset: number;
  readonly values: number;
  readonly isCompressed: boolean;
}

/** A page's header (https://github.com/apache/parquet-format), as far as it is looked at. */
interface PageHeader {
  readonly headerBytes: number;
  readonly bodyBytes: number;
  readonly values: number;
  readonly crc: number | null;
}

/** Numbers of the fields of `PageHeader` in parquet.thrift. */
const TYPE = 1;
const UNCOMPRESSED_SIZE = 2;
const COMPRESSED_SIZE = 3;
const CRC = 4;
/** By the type of the page, where its own header stands; each begins with the number of values. */
const HEADER_OF_TYPE = [5, 6, 7, 8];
const INDEX_PAGE = 1;
const DICTIONARY_PAGE = 2;
const VALUES = 1;

/** Headers are some dozens of bytes, unless their statistics hold long texts. */
const MAX_HEADER_BYTES = 16 * 1024 * 1024;
const WINDOW_BYTES = 64 * 1024;
const FOOTER_BYTES = 8;

/**
 * Walks over the pages of columns by their headers: that there is a page where one has to be, that none
 * reaches beyond the data, and that together they hold as many values as the directory says.
 * @param withChecksums also reads every page that has a checksum, and compares it
 * @returns whether every page has a checksum; null where none was looked at
 * @throws TableProblem
 */
export async function checkPages(
  path: string,
  chunks: readonly ColumnChunk[],
  withChecksums: boolean,
): Promise<boolean | null> {
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    const pages = new PageWalk(file, size - FOOTER_BYTES);
    let allSummed = true;
    for (const chunk of chunks) {
      allSummed = (await pages.walk(chunk, withChecksums)) && allSummed;
    }
    return withChecksums ? allSummed : null;
  } finally {
    await file.close();
  }
}

class PageWalk {
  private window: Buffer = Buffer.alloc(0);
  private windowAt = 0;

  constructor(
    private readonly file: FileHandle,
    /** Where the data ends at the latest. */
    private readonly end: number,
  ) {}

  /** @returns whether every page has a checksum */
  async walk(chunk: ColumnChunk, withChecksums: boolean): Promise<boolean> {
    let summed = true;
    let values = 0;
    for (let at = chunk.offset; values < chunk.values;) {
      const header = await this.header(chunk, at);
      const body = at + header.headerBytes;
      at = body + header.bodyBytes;
      if (at > this.end) throw broken(chunk, 'has a page that reaches beyond the data');
      values += header.values;
      if (header.crc === null) summed = false;
      else if (withChecksums) await this.compare(chunk, header, body);
    }
    if (values !== chunk.values) {
      throw broken(
        chunk,
        `has ${values} values in its pages, and ${chunk.values} by its directory`,
      );
    }
    return summed;
  }

  private async header(chunk: ColumnChunk, at: number): Promise<PageHeader> {
    for (let length = WINDOW_BYTES; ; length *= 8) {
      const bytes = await this.bytes(at, Math.min(length, this.end - at));
      try {
        const { fields, length: headerBytes } = readStruct(bytes);
        return { headerBytes, ...factsOf(chunk, fields) };
      } catch (error) {
        if (error instanceof TableProblem) throw error;
        const isCut = error instanceof ThriftEnds && length < MAX_HEADER_BYTES;
        if (!isCut || at + length >= this.end) {
          throw broken(chunk, `has no page at byte ${at}, where one has to be`);
        }
      }
    }
  }

  private async compare(chunk: ColumnChunk, { bodyBytes, crc }: PageHeader, at: number) {
    let sum = 0;
    for (let done = 0; done < bodyBytes;) {
      const piece = await this.bytes(at + done, Math.min(bodyBytes - done, 16 * WINDOW_BYTES));
      sum = crc32(piece, sum);
      done += piece.length;
    }
    if (sum !== crc) throw broken(chunk, 'has a page whose checksum does not fit its bytes');
  }

  /** Bytes from a place on: at least one, and as many as asked for unless the file ends before. */
  private async bytes(at: number, length: number): Promise<Buffer> {
    const from = at - this.windowAt;
    if (from >= 0 && from + Math.min(length, 1024) <= this.window.length) {
      return this.window.subarray(from, from + length);
    }
    if (length <= 0) throw new TableProblem('truncated', 'The Parquet data ends before its pages.');
    const buffer = Buffer.allocUnsafe(length);
    const { bytesRead } = await this.file.read(buffer, 0, length, at);
    if (bytesRead === 0) {
      throw new TableProblem('truncated', 'The Parquet data ends before its pages.');
    }
    this.window = buffer.subarray(0, bytesRead);
    this.windowAt = at;
    return this.window;
  }
}

function factsOf(chunk: ColumnChunk, fields: ThriftStruct): Omit<PageHeader, 'headerBytes'> {
  const [type, plain, packed, crc] = [TYPE, UNCOMPRESSED_SIZE, COMPRESSED_SIZE, CRC].map((id) =>
    fields.get(id),
  );
  const own = fields.get(HEADER_OF_TYPE[Number(type ?? -1)] ?? -1);
  const isSound =
    own instanceof Map &&
    typeof plain === 'number' &&
    typeof packed === 'number' &&
    Math.min(plain, packed) >= 0 &&
    (chunk.isCompressed || plain === packed);
  const inPage = own instanceof Map ? (own as ThriftStruct).get(VALUES) : undefined;
  const holdsData = type !== INDEX_PAGE && type !== DICTIONARY_PAGE;
  if (!isSound || (holdsData && !(typeof inPage === 'number' && inPage >= 0))) {
    throw broken(chunk, 'has a page whose header says nothing sound');
  }
  return {
    bodyBytes: Number(packed),
    values: holdsData ? Number(inPage) : 0,
    crc: typeof crc === 'number' ? crc >>> 0 : null,
  };
}

function broken({ column }: ColumnChunk, what: string): TableProblem {
  return new TableProblem('malformed', `The column ${JSON.stringify(column)} ${what}.`);
}
