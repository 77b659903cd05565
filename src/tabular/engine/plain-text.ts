import { createReadStream, createWriteStream } from 'node:fs';
import { open, rename, rm, stat } from 'node:fs/promises';
import { Transform, type TransformCallback } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createZstdDecompress, gunzipSync, zstdDecompressSync } from 'node:zlib';
import { detectCompression, type Compression } from './detect.js';
import type { TableSource, TextEncoding } from './source.js';
import { TableProblem } from './table-problem.js';

/** How much of a file is looked at to tell what it is. */
const HEAD_BYTES = 256 * 1024;
const READ_BYTES = 1024 * 1024;

/** A file's beginning, decompressed, and how the whole of it is compressed. */
export interface Head {
  readonly bytes: Buffer;
  readonly compression: Compression | null;
}

/** Reads a file's beginning. */
export async function readHead(path: string): Promise<Head> {
  const raw = await readStart(path);
  const compression = detectCompression(raw);
  return { bytes: compression ? decompressStart(raw, compression) : raw, compression };
}

async function readStart(path: string): Promise<Buffer> {
  const file = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

/** As much as can be decompressed of a beginning: what is cut off there is no error. */
function decompressStart(raw: Buffer, compression: Compression): Buffer {
  const most = { maxOutputLength: 64 * HEAD_BYTES };
  try {
    return compression === 'gzip'
      ? gunzipSync(raw, { ...most, finishFlush: 2 }).subarray(0, HEAD_BYTES)
      : zstdDecompressSync(raw, { ...most, finishFlush: 1 }).subarray(0, HEAD_BYTES);
  } catch {
    return Buffer.alloc(0);
  }
}

/** The encoding that a text's beginning shows; what is not UTF-8 is taken for windows-1252. */
export function guessEncoding(head: Buffer): TextEncoding {
  if (head[0] === 0xff && head[1] === 0xfe) return 'utf-16le';
  if (head[0] === 0xfe && head[1] === 0xff) return 'utf-16be';
  // The end may cut a character in two.
  const text = new TextDecoder('utf-8', { fatal: true });
  try {
    text.decode(head, { stream: true });
  } catch {
    return 'windows-1252';
  }
  if (looksLikeUtf16(head, 1)) return 'utf-16le';
  return looksLikeUtf16(head, 0) ? 'utf-16be' : 'utf-8';
}

/** Whether every other byte is zero, as in Western text in UTF-16. */
function looksLikeUtf16(head: Buffer, at: 0 | 1): boolean {
  const pairs = Math.min(head.length >> 1, 200);
  if (pairs < 4) return false;
  for (let pair = 0; pair < pairs; pair += 1) {
    if (head[2 * pair + at] !== 0 || head[2 * pair + 1 - at] === 0) return false;
  }
  return true;
}

/** A text's beginning as text. */
export function decodeHead(head: Buffer, encoding: TextEncoding): string {
  return new TextDecoder(encoding).decode(head);
}

/**
 * Where a text lies as plain UTF-8: the file itself, or a copy that is made once.
 * @param maximumBytes how large the copy may become
 * @throws TableProblem where the compressed bytes are not whole
 */
export async function plainTextFile(
  source: TableSource,
  { compression }: Head,
  encoding: TextEncoding,
  maximumBytes: number,
): Promise<string> {
  if (!compression && encoding === 'utf-8') return source.path;
  return preparedFile(`${source.prepared}.${encoding}.txt`, async (target) => {
    const steps: Transform[] = [];
    if (compression) steps.push(compression === 'gzip' ? createGunzip() : createZstdDecompress());
    if (encoding !== 'utf-8') steps.push(new Decoder(encoding));
    steps.push(new ByteLimit(maximumBytes));
    const input = createReadStream(source.path, { highWaterMark: READ_BYTES });
    await pipeline([input, ...steps, createWriteStream(target)]).catch((error: unknown) => {
      throw asCompressionProblem(error);
    });
  });
}

/** A name must not outlive a power cut that its bytes have not. */
async function sync(path: string): Promise<void> {
  const file = await open(path, 'r+');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Whether a text is checksummed: gzip was, and its checksum fitted, or there were no plain text. */
export function gzipProves({ compression }: Head): () => Promise<boolean> {
  return () => Promise.resolve(compression === 'gzip');
}

/** A prepared form of a file: made by whoever needs it first, and complete once it has its name. */
export async function preparedFile(
  path: string,
  make: (target: string) => Promise<void>,
): Promise<string> {
  if (await stat(path).catch(() => null)) return path;
  const target = `${path}.${process.pid}.part`;
  try {
    await make(target);
    await sync(target);
    await rename(target, path);
  } catch (error) {
    await rm(target, { force: true });
    throw error;
  }
  return path;
}

function asCompressionProblem(error: unknown): unknown {
  const { code, message } = error as { code?: string; message?: string };
  if (error instanceof TableProblem || !code) return error;
  if (code === 'Z_BUF_ERROR' || /unexpected end/i.test(message ?? '')) {
    return new TableProblem('truncated', 'The compressed data ends before its end.');
  }
  if (code.startsWith('Z_') || code.startsWith('ZSTD_')) {
    return new TableProblem('malformed', `The compressed data is damaged: ${message ?? code}.`);
  }
  return error;
}

/** Turns text of an encoding into UTF-8. */
class Decoder extends Transform {
  readonly #decoder: InstanceType<typeof TextDecoder>;

  constructor(encoding: TextEncoding) {
    super();
    this.#decoder = new TextDecoder(encoding);
  }

  override _transform(chunk: Buffer, _: BufferEncoding, done: TransformCallback): void {
    done(null, this.#decoder.decode(chunk, { stream: true }));
  }

  override _flush(done: TransformCallback): void {
    done(null, this.#decoder.decode());
  }
}

/** Lets so many bytes pass, and no more. */
class ByteLimit extends Transform {
  #left: number;

  constructor(private readonly maximumBytes: number) {
    super();
    this.#left = maximumBytes;
  }

  override _transform(chunk: Buffer, _: BufferEncoding, done: TransformCallback): void {
    this.#left -= chunk.length;
    if (this.#left >= 0) return done(null, chunk);
    const message = `It holds more than ${this.maximumBytes} bytes once it is decompressed.`;
    done(new TableProblem('too-large', message));
  }
}
