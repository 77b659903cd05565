import type { TableFormat } from './source.js';

export type Compression = 'gzip' | 'zstd';

const startsWith = (head: Buffer, bytes: readonly number[]): boolean =>
  bytes.every((byte, at) => head[at] === byte);

/** How the bytes are compressed, by their first ones. */
export function detectCompression(head: Buffer): Compression | null {
  if (startsWith(head, [0x1f, 0x8b])) return 'gzip';
  if (startsWith(head, [0x28, 0xb5, 0x2f, 0xfd])) return 'zstd';
  return null;
}

/** What a zip may begin with: a file, or the directory of an empty one. */
const ZIP = [0x50, 0x4b];
/** The container of Excel files that are encrypted, and of those from before 2007. */
const COMPOUND_FILE = [0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1];

const BY_EXTENSION: ReadonlyMap<string, TableFormat> = new Map([
  ['csv', 'csv'],
  ['tsv', 'tsv'],
  ['tab', 'tsv'],
  ['json', 'json'],
  ['geojson', 'json'],
  ['ndjson', 'ndjson'],
  ['jsonl', 'ndjson'],
]);

const BY_MIME_TYPE: ReadonlyMap<string, TableFormat> = new Map([
  ['text/csv', 'csv'],
  ['application/csv', 'csv'],
  ['text/tab-separated-values', 'tsv'],
  ['application/json', 'json'],
  ['application/x-ndjson', 'ndjson'],
  ['application/jsonl', 'ndjson'],
]);

/** Extensions and types whose bytes say themselves what they are: without those, no table. */
const EXCEL = /\.(xlsx|xlsm)$/i;

/**
 * What kind of table a file is: its content decides where that says it, then its media type and its
 * name. Null for every other file.
 * @param head the first bytes, decompressed
 */
export function detectFormat(head: Buffer, name: string, mimeType: string): TableFormat | null {
  const magic = head.subarray(0, 6).toString('latin1');
  if (magic.startsWith('PAR1') || magic.startsWith('PARE')) return 'parquet';
  if (magic.startsWith('ARROW1')) return 'arrow';
  if (magic.startsWith('Obj\x01')) return 'avro';
  if (startsWith(head, ZIP) || startsWith(head, COMPOUND_FILE)) {
    return EXCEL.test(name) || mimeType.includes('spreadsheetml') ? 'xlsx' : null;
  }
  if (isArrowStream(head)) return 'arrow';
  const said =
    BY_EXTENSION.get(extensionOf(name)) ?? BY_MIME_TYPE.get(mimeType.split(';')[0] ?? '');
  if (said !== 'json') return said ?? null;
  // Files named .json hold one record a line often enough.
  return looksLikeLines(head) ? 'ndjson' : 'json';
}

/** The extension, that of a compression left out. */
function extensionOf(name: string): string {
  return (
    name
      .toLowerCase()
      .replace(/\.(gz|zst)$/, '')
      .split('.')
      .at(-1) ?? ''
  );
}

/** A stream of Arrow messages begins with a continuation marker and the schema's length. */
function isArrowStream(head: Buffer): boolean {
  if (head.length < 16 || head.readUInt32LE(0) !== 0xffffffff) return false;
  const length = head.readInt32LE(4);
  return length > 0 && length % 8 === 0 && length < 64 * 1024 * 1024;
}

/** Whether more than one line is a whole JSON object. */
function looksLikeLines(head: Buffer): boolean {
  const [first = '', second = ''] = head
    .toString('utf8')
    .split('\n', 3)
    .map((line) => line.trim());
  return first.startsWith('{') && first.endsWith('}') && second.startsWith('{');
}
