import { describe, expect, it } from '@jest/globals';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { extract } from 'tar-stream';
import { fromBuffer, type ZipFile } from 'yauzl';
import type { ArchiveEntry } from './archive-entry.js';
import { tar } from './tar.js';
import { zip } from './zip.js';

const AT = new Date('2026-11-20T10:11:12Z');

const NAMES = [
  'README.md',
  'a',
  'a/b',
  'deep/'.repeat(150) + 'end.txt',
  'x'.repeat(1000),
  'cafe\u0301',
  'café',
  'back\\slash',
  `"quotes" and 'more'`,
  '🦊/\u{10ffff}',
  'C:',
  '%2e%2e',
];

function entry(path: string, content: string | Buffer): ArchiveEntry {
  const bytes = Buffer.from(content);
  return {
    path,
    sizeBytes: bytes.length,
    open: async () => Readable.from(bytes.length > 0 ? [bytes] : []),
  };
}

async function* all(entries: Iterable<ArchiveEntry>): AsyncGenerator<ArchiveEntry> {
  yield* entries;
}

const bytesOf = (archive: AsyncGenerator<Buffer>) =>
  buffer(Readable.from(archive, { objectMode: false }));

async function untarred(archive: Buffer): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  const extraction = extract();
  Readable.from([archive]).pipe(extraction);
  for await (const file of extraction) {
    expect(file.header.mtime).toEqual(AT);
    files.set(file.header.name, (await buffer(file)).toString());
  }
  return files;
}

/** Reads a zip; yauzl checks the checksums and refuses names that would leave a directory. */
async function unzipped(archive: Buffer): Promise<Map<string, string>> {
  const zipFile = await new Promise<ZipFile>((resolve, reject) =>
    fromBuffer(archive, { lazyEntries: true, strictFileNames: true }, (error, file) =>
      file ? resolve(file) : reject(error ?? new Error('no zip')),
    ),
  );
  const files = new Map<string, string>();
  return new Promise((resolve, reject) => {
    zipFile.on('error', reject);
    zipFile.on('end', () => resolve(files));
    zipFile.on('entry', (found: { fileName: string }) => {
      zipFile.openReadStream(found as never, (error, stream) => {
        if (!stream) return reject(error ?? new Error('no stream'));
        buffer(stream).then((content) => {
          files.set(found.fileName, content.toString());
          zipFile.readEntry();
        }, reject);
      });
    });
    zipFile.readEntry();
  });
}

describe.each([
  ['tar', tar, untarred],
  ['zip', zip, unzipped],
] as const)('%s', (format, write, read) => {
  it('gives every name and content back exactly', async () => {
    // yauzl refuses backslashes and drive letters; that they are written exactly is tested below.
    const names = NAMES.filter((name) => format === 'tar' || !/\\|^C:/.test(name));
    const given = names.map((name, i) =>
      entry(name, i % 3 === 0 ? '' : `content of ${i}\n`.repeat(i * 99)),
    );
    const files = await read(await bytesOf(write(all(given), AT)));
    expect([...files.keys()]).toEqual(names);
    names.forEach((name, i) => {
      expect(files.get(name)).toBe(i % 3 === 0 ? '' : `content of ${i}\n`.repeat(i * 99));
    });
  });

  it('writes names with backslashes as they are', async () => {
    const archive = await bytesOf(write(all([entry('back\\slash', 'x')]), AT));
    expect(archive.includes('back\\slash')).toBe(true);
  });

  it('breaks off when a content cannot be opened, is cut short, or fails in the middle', async () => {
    const lost: ArchiveEntry = {
      path: 'lost',
      sizeBytes: 3,
      open: async () => {
        throw new Error('lost');
      },
    };
    const short = { ...entry('short', 'ab'), sizeBytes: 3 };
    const failing: ArchiveEntry = {
      path: 'failing',
      sizeBytes: 9,
      open: async () =>
        Readable.from(
          (function* () {
            yield Buffer.from('abc');
            throw new Error('disk');
          })(),
        ),
    };
    for (const bad of [lost, short, failing]) {
      await expect(bytesOf(write(all([entry('a', 'a'), bad]), AT))).rejects.toThrow();
    }
  });

  it('closes what is open when its reader goes away', async () => {
    let closed = false;
    let opened = 0;
    function* chunks(): Generator<Buffer> {
      for (let i = 0; i < 1000; i++) yield Buffer.alloc(1000);
    }
    const large: ArchiveEntry = {
      path: 'large',
      sizeBytes: 1_000_000,
      open: async () => {
        opened += 1;
        return Readable.from(chunks()).once('close', () => {
          closed = true;
        });
      },
    };
    const archive = write(all([large, large]), AT);
    let seen = 0;
    for await (const chunk of archive) {
      seen += chunk.length;
      if (seen > 5000) break;
    }
    await new Promise(setImmediate);
    expect(opened).toBe(1);
    expect(closed).toBe(true);
  });
});

describe('zip64', () => {
  it('is used for more files than 16 bits can count', async () => {
    function* many(): Generator<ArchiveEntry> {
      for (let i = 0; i < 70_000; i++) yield entry(`${i}`, '');
    }
    const files = await unzipped(await bytesOf(zip(all(many()), AT)));
    expect(files.size).toBe(70_000);
  });

  it('is used for a file of more than 4 GiB', async () => {
    const chunk = Buffer.alloc(64 * 1024 * 1024);
    const count = 65;
    const large: ArchiveEntry = {
      path: 'large',
      sizeBytes: chunk.length * count,
      open: async () =>
        Readable.from(
          (function* () {
            for (let i = 0; i < count; i++) yield chunk;
          })(),
        ),
    };
    // Keeps the ends only: what lies between is the content.
    let total = 0;
    const tail: Buffer[] = [];
    for await (const piece of zip(all([large, entry('small', 'after 4 GiB')]), AT)) {
      total += piece.length;
      if (piece !== chunk) tail.push(piece);
    }
    const directoryAt = tail.findIndex((piece) => piece.readUInt32LE(0) === 0x02014b50);
    const line = tail[directoryAt]!;
    expect(line.readUInt32LE(24)).toBe(0xffffffff);
    const extra = line.subarray(46 + line.readUInt16LE(28));
    expect([extra.readUInt16LE(0), extra.readUInt16LE(2)]).toEqual([1, 16]);
    expect(Number(extra.readBigUInt64LE(4))).toBe(chunk.length * count);
    const second = tail[directoryAt + 1]!;
    expect(second.readUInt32LE(42)).toBe(0xffffffff);
    const offset = Number(second.subarray(46 + second.readUInt16LE(28)).readBigUInt64LE(4));
    const beforeSecond = tail.slice(0, 2).reduce((sum, { length }) => sum + length, 0);
    expect(offset).toBe(chunk.length * count + beforeSecond);
    const end = tail.at(-1)!;
    expect(end.readUInt32LE(0)).toBe(0x06064b50);
    expect(Number(end.readBigUInt64LE(48))).toBeLessThan(total);
  });
});
