import { lookup } from 'mime-types';

/** What a file's name says of its content. */
export interface NameHints {
  /** The extension in lower case, compression left out: `csv` for `Sales.CSV.gz`. */
  readonly fileType: string | null;
  /** How the bytes are compressed, such as `gzip`. */
  readonly compressionType: string | null;
  /** The media type of the bytes as they are: a compressed file's is that of its compression. */
  readonly mimeType: string;
}

export const UNKNOWN_MIME_TYPE = 'application/octet-stream';

/** The extensions of compressed files. */
const COMPRESSIONS: ReadonlyMap<string, { type: string; mimeType: string }> = new Map([
  ['gz', { type: 'gzip', mimeType: 'application/gzip' }],
  ['bz2', { type: 'bzip2', mimeType: 'application/x-bzip2' }],
  ['xz', { type: 'xz', mimeType: 'application/x-xz' }],
  ['zst', { type: 'zstd', mimeType: 'application/zstd' }],
  ['lz4', { type: 'lz4', mimeType: 'application/x-lz4' }],
  ['br', { type: 'br', mimeType: UNKNOWN_MIME_TYPE }],
]);

/** What data is kept in and the library does not know, or takes for something else. */
const DATA_TYPES: ReadonlyMap<string, string> = new Map([
  ['parquet', 'application/vnd.apache.parquet'],
  ['arrow', 'application/vnd.apache.arrow.file'],
  ['feather', 'application/vnd.apache.arrow.file'],
  ['avro', 'application/vnd.apache.avro'],
  ['orc', 'application/vnd.apache.orc'],
  ['jsonl', 'application/x-ndjson'],
  ['ndjson', 'application/x-ndjson'],
  ['sqlite', 'application/vnd.sqlite3'],
  ['ts', 'text/plain'],
]);

const EXTENSION = /^[a-z0-9][a-z0-9_+-]{0,31}$/;

/** Reads a file's type off its name. The same name always gives the same. */
export function hintsOfName(name: string): NameHints {
  const baseName = name.slice(name.lastIndexOf('/') + 1);
  const compression = COMPRESSIONS.get(extensionOf(baseName) ?? '');
  if (compression) {
    return {
      fileType: extensionOf(baseName.slice(0, baseName.lastIndexOf('.'))),
      compressionType: compression.type,
      mimeType: compression.mimeType,
    };
  }
  const fileType = extensionOf(baseName);
  const mimeType = fileType && (DATA_TYPES.get(fileType) ?? lookup(fileType));
  return { fileType, compressionType: null, mimeType: mimeType || UNKNOWN_MIME_TYPE };
}

function extensionOf(baseName: string): string | null {
  const dot = baseName.lastIndexOf('.');
  if (dot <= 0) return null;
  const extension = baseName.slice(dot + 1).toLowerCase();
  return EXTENSION.test(extension) ? extension : null;
}
