import { crc32 } from 'node:zlib';
import type { ArchiveEntry } from './archive-entry.js';

/**
 * A zip archive as a stream (APPNOTE.TXT 6.3.9, https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT):
 * contents stored as they are, sizes beforehand, checksums after the content, zip64 where 32 bits
 * do not do. Names are UTF-8 and come out exactly. Of an entry only its line of the central directory
 * is kept until the end.
 */
export async function* zip(
  entries: AsyncIterable<ArchiveEntry>,
  modifiedAt: Date,
): AsyncGenerator<Buffer, void> {
  const directory: Buffer[] = [];
  const time = dosTime(modifiedAt);
  let offset = 0;
  for await (const entry of entries) {
    const header = localHeader(entry, time);
    yield header;
    let checksum = 0;
    let written = 0;
    for await (const chunk of await entry.open()) {
      const bytes = chunk as Buffer;
      checksum = crc32(bytes, checksum);
      written += bytes.length;
      yield bytes;
    }
    if (written !== entry.sizeBytes) throw new Error(`${entry.path} has changed its size`);
    const descriptor = dataDescriptor(checksum, entry.sizeBytes);
    yield descriptor;
    directory.push(directoryLine(entry, time, checksum, offset));
    offset += header.length + written + descriptor.length;
  }
  let directoryBytes = 0;
  for (const line of directory) {
    directoryBytes += line.length;
    yield line;
  }
  yield endOfDirectory(directory.length, directoryBytes, offset);
}

const MAX32 = 0xffffffff;
const MAX16 = 0xffff;
const VERSION_ZIP64 = 45;
const MADE_BY_UNIX = (3 << 8) | VERSION_ZIP64;
/** The name is UTF-8 (bit 11), the checksum follows the content (bit 3). */
const FLAGS = 0x0808;
const REGULAR_FILE = 0o100644 << 16;
const ZIP64_FIELD = 1;

interface DosTime {
  readonly time: number;
  readonly date: number;
}

/** Times in zip have neither a zone nor odd seconds; UTC says the same everywhere. */
function dosTime(at: Date): DosTime {
  const year = Math.min(Math.max(at.getUTCFullYear() - 1980, 0), 127);
  return {
    time: (at.getUTCHours() << 11) | (at.getUTCMinutes() << 5) | (at.getUTCSeconds() >> 1),
    date: (year << 9) | ((at.getUTCMonth() + 1) << 5) | at.getUTCDate(),
  };
}

const isLarge = (bytes: number): boolean => bytes >= MAX32;

function localHeader({ path, sizeBytes }: ArchiveEntry, { time, date }: DosTime): Buffer {
  const name = Buffer.from(path, 'utf8');
  // With the checksum to follow, the sizes here are zero; the field says that they have 64 bits.
  const extra = isLarge(sizeBytes) ? zip64Field([0, 0]) : Buffer.alloc(0);
  const header = Buffer.alloc(30);
  header.writeUInt32LE(0x04034b50, 0);
  header.writeUInt16LE(VERSION_ZIP64, 4);
  header.writeUInt16LE(FLAGS, 6);
  header.writeUInt16LE(time, 10);
  header.writeUInt16LE(date, 12);
  if (isLarge(sizeBytes)) {
    header.writeUInt32LE(MAX32, 18);
    header.writeUInt32LE(MAX32, 22);
  }
  header.writeUInt16LE(name.length, 26);
  header.writeUInt16LE(extra.length, 28);
  return Buffer.concat([header, name, extra]);
}

function dataDescriptor(checksum: number, sizeBytes: number): Buffer {
  const large = isLarge(sizeBytes);
  const descriptor = Buffer.alloc(large ? 24 : 16);
  descriptor.writeUInt32LE(0x08074b50, 0);
  descriptor.writeUInt32LE(checksum, 4);
  if (large) {
    descriptor.writeBigUInt64LE(BigInt(sizeBytes), 8);
    descriptor.writeBigUInt64LE(BigInt(sizeBytes), 16);
  } else {
    descriptor.writeUInt32LE(sizeBytes, 8);
    descriptor.writeUInt32LE(sizeBytes, 12);
  }
  return descriptor;
}

function directoryLine(
  { path, sizeBytes }: ArchiveEntry,
  { time, date }: DosTime,
  checksum: number,
  offset: number,
): Buffer {
  const name = Buffer.from(path, 'utf8');
  const beyond = [
    ...(isLarge(sizeBytes) ? [sizeBytes, sizeBytes] : []),
    ...(isLarge(offset) ? [offset] : []),
  ];
  const extra = beyond.length > 0 ? zip64Field(beyond) : Buffer.alloc(0);
  const line = Buffer.alloc(46);
  line.writeUInt32LE(0x02014b50, 0);
  line.writeUInt16LE(MADE_BY_UNIX, 4);
  line.writeUInt16LE(VERSION_ZIP64, 6);
  line.writeUInt16LE(FLAGS, 8);
  line.writeUInt16LE(time, 12);
  line.writeUInt16LE(date, 14);
  line.writeUInt32LE(checksum, 16);
  line.writeUInt32LE(Math.min(sizeBytes, MAX32), 20);
  line.writeUInt32LE(Math.min(sizeBytes, MAX32), 24);
  line.writeUInt16LE(name.length, 28);
  line.writeUInt16LE(extra.length, 30);
  line.writeUInt32LE(REGULAR_FILE >>> 0, 38);
  line.writeUInt32LE(Math.min(offset, MAX32), 42);
  return Buffer.concat([line, name, extra]);
}

function zip64Field(values: readonly number[]): Buffer {
  const field = Buffer.alloc(4 + 8 * values.length);
  field.writeUInt16LE(ZIP64_FIELD, 0);
  field.writeUInt16LE(8 * values.length, 2);
  values.forEach((value, index) => field.writeBigUInt64LE(BigInt(value), 4 + 8 * index));
  return field;
}

function endOfDirectory(count: number, bytes: number, offset: number): Buffer {
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(Math.min(count, MAX16), 8);
  end.writeUInt16LE(Math.min(count, MAX16), 10);
  end.writeUInt32LE(Math.min(bytes, MAX32), 12);
  end.writeUInt32LE(Math.min(offset, MAX32), 16);
  if (count < MAX16 && !isLarge(bytes) && !isLarge(offset)) return end;

  const record = Buffer.alloc(56);
  record.writeUInt32LE(0x06064b50, 0);
  record.writeBigUInt64LE(44n, 4);
  record.writeUInt16LE(MADE_BY_UNIX, 12);
  record.writeUInt16LE(VERSION_ZIP64, 14);
  record.writeBigUInt64LE(BigInt(count), 24);
  record.writeBigUInt64LE(BigInt(count), 32);
  record.writeBigUInt64LE(BigInt(bytes), 40);
  record.writeBigUInt64LE(BigInt(offset), 48);
  const locator = Buffer.alloc(20);
  locator.writeUInt32LE(0x07064b50, 0);
  locator.writeBigUInt64LE(BigInt(offset + bytes), 8);
  locator.writeUInt32LE(1, 16);
  return Buffer.concat([record, locator, end]);
}
