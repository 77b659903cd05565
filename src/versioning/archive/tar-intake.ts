import type { IncomingMessage } from 'node:http';
import { PassThrough, Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { extract, type Header } from 'tar-stream';
import { UploadAborted } from '../../core/contracts/artifact-producer.js';
import { pathComplaint } from '../graph/path.js';
import { ArchiveRefused } from '../versioning.problems.js';

/** A file in an archive that is being read. */
export interface ReceivedFile {
  readonly path: string;
  readonly sizeBytes: number;
  /** The content: in memory where it is small, else a stream that must be read before the next file. */
  readonly content: Buffer | Readable;
}

/** Contents up to here are read ahead into memory, so that several can be stored at once. */
export const SMALL_FILE_BYTES = 128 * 1024;

const GZIP = Buffer.from([0x1f, 0x8b]);
const ZSTD = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);

/**
 * Reads the files of a tar stream: plain, or compressed by gzip or zstd, which its first bytes tell.
 * Directories are passed over, for a version has none.
 * @throws ArchiveRefused for links, devices, paths that cannot stand in a version, and what is no tar
 * @throws UploadAborted when the sender goes away
 */
export async function* receivedFiles(body: Readable): AsyncGenerator<ReceivedFile, void> {
  const extraction = extract();
  const reading = feed(body, extraction);
  // Awaited below; until then a failure reaches the reader through the extraction.
  reading.catch(() => undefined);
  try {
    for await (const entry of extraction) {
      const path = fileOf(entry.header);
      const sizeBytes = entry.header.size ?? 0;
      if (path === null) entry.resume();
      else if (sizeBytes <= SMALL_FILE_BYTES) {
        yield { path, sizeBytes, content: await whole(entry) };
      } else {
        const content = Readable.from(chunksOf(entry, body), { objectMode: false });
        yield { path, sizeBytes, content };
      }
    }
    await reading;
  } catch (error) {
    throw asProblem(error, body);
  } finally {
    extraction.destroy();
  }
}

/** A small file's content. Not by `node:stream/consumers`: its way through a Blob takes ten times as long. */
async function whole(entry: unknown): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of entry as AsyncIterable<Buffer>) chunks.push(chunk);
  return chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks);
}

/** The chunks of a large file; what cuts them short is the archive's fault here as well. */
async function* chunksOf(entry: unknown, body: Readable): AsyncGenerator<Buffer> {
  try {
    yield* entry as AsyncIterable<Buffer>;
  } catch (error) {
    throw asProblem(error, body);
  }
}

async function feed(body: Readable, extraction: NodeJS.WritableStream): Promise<void> {
  const start = await firstBytes(body, ZSTD.length);
  const decompressor = start.subarray(0, 2).equals(GZIP)
    ? createGunzip()
    : start.equals(ZSTD)
      ? createZstdDecompress()
      : new PassThrough();
  await pipeline(body, decompressor, extraction);
}

/** Looks at the beginning of a stream and puts it back. */
async function firstBytes(stream: Readable, count: number): Promise<Buffer> {
  let start = Buffer.alloc(0);
  while (start.length < count && !stream.readableEnded) {
    const chunk = stream.read() as Buffer | null;
    if (chunk) start = Buffer.concat([start, chunk]);
    else if (stream.readableEnded || stream.destroyed || !(await becomesReadable(stream))) break;
  }
  if (start.length > 0) stream.unshift(start);
  return start.subarray(0, count);
}

function becomesReadable(stream: Readable): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const settle = (readable: boolean) => () => {
      stream
        .off('readable', onReadable)
        .off('end', onEnd)
        .off('error', onError)
        .off('close', onEnd);
      resolve(readable);
    };
    const onReadable = settle(true);
    const onEnd = settle(false);
    const onError = (error: Error) => {
      onEnd();
      reject(error);
    };
    stream.on('readable', onReadable).on('end', onEnd).on('error', onError).on('close', onEnd);
  });
}

/** The path of a file's entry; null for an entry that is nothing to a version. */
function fileOf(header: Header): string | null {
  const { name, type } = header;
  // `tar c .` writes every name with this before it.
  const path = name.replace(/^(\.\/)+/, '');
  if (type === 'directory') {
    const directory = path.replace(/\/+$/, '');
    if (directory === '' || directory === '.') return null;
    const complaint = pathComplaint(directory);
    if (complaint !== null) throw new ArchiveRefused(name, complaint);
    return null;
  }
  if (type !== 'file' && type !== 'contiguous-file') {
    throw new ArchiveRefused(name, `is a ${type ?? 'thing'}; an archive may hold files alone`);
  }
  const complaint = pathComplaint(path);
  if (complaint !== null) throw new ArchiveRefused(name, complaint);
  return path;
}

/** What fails while an archive is read is the archive, or its sender. */
function asProblem(error: unknown, body: Readable): unknown {
  if (error instanceof ArchiveRefused) return error;
  if (body.destroyed && !body.readableEnded && (body as IncomingMessage).complete === false) {
    return new UploadAborted();
  }
  const why = error instanceof Error ? error.message : String(error);
  return new ArchiveRefused(null, `is no whole tar archive, plain or by gzip or zstd: ${why}`);
}
