import { open, type FileHandle } from 'node:fs/promises';
import { TableProblem } from '../table-problem.js';

/** Where a header ends that is no joke. */
const MAX_HEADER_BYTES = 1024 * 1024;
const MAGIC_BYTES = 4;
const SYNC_BYTES = 16;
/** Two whole numbers of variable length: how many records a block has, and how many bytes. */
const BLOCK_HEAD_BYTES = 20;

/**
 * Walks over an Avro file's blocks without decoding them: the library takes a file that ends within a
 * block for one that ends before it.
 * @throws TableProblem
 */
export async function checkBlocks(path: string): Promise<void> {
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    const header = new Cursor(await bytesAt(file, 0, Math.min(size, MAX_HEADER_BYTES)));
    header.skip(MAGIC_BYTES);
    skipMetadata(header);
    const sync = header.take(SYNC_BYTES);
    for (let at = header.at; at < size;) {
      const head = new Cursor(await bytesAt(file, at, Math.min(BLOCK_HEAD_BYTES, size - at)));
      head.number();
      const end = at + head.lengthAfterNumber() + SYNC_BYTES;
      if (end > size) throw truncated();
      if (!(await bytesAt(file, end - SYNC_BYTES, SYNC_BYTES)).equals(sync)) {
        throw new TableProblem('malformed', 'A block of the Avro file does not end where it says.');
      }
      at = end;
    }
  } finally {
    await file.close();
  }
}

/** The header's metadata: a map in blocks, each with its count, the last with none. */
function skipMetadata(header: Cursor): void {
  for (let count = header.number(); count !== 0; count = header.number()) {
    if (count < 0) header.number();
    for (let left = Math.abs(count); left > 0; left -= 1) {
      header.skip(header.number());
      header.skip(header.number());
    }
  }
}

async function bytesAt(file: FileHandle, at: number, length: number): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, at);
  return buffer.subarray(0, bytesRead);
}

function truncated(): TableProblem {
  return new TableProblem('truncated', 'The Avro file ends within a block.');
}

class Cursor {
  at = 0;

  constructor(private readonly bytes: Buffer) {}

  skip(length: number): void {
    if (length < 0) throw new TableProblem('malformed', 'A length in the Avro file is negative.');
    this.at += length;
    if (this.at > this.bytes.length) throw truncated();
  }

  take(length: number): Buffer {
    this.skip(length);
    return this.bytes.subarray(this.at - length, this.at);
  }

  /** A whole number, seven bits a byte, its sign in the lowest. */
  number(): number {
    let value = 0;
    for (let place = 1; ; place *= 128) {
      const byte = this.take(1)[0] as number;
      value += (byte & 0x7f) * place;
      if (byte < 0x80) break;
      if (place > 2 ** 49)
        throw new TableProblem('malformed', 'A number in the Avro file is too long.');
    }
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  /** How far it is from the beginning to the end of what the next number is the length of. */
  lengthAfterNumber(): number {
    const length = this.number();
    if (length < 0) throw new TableProblem('malformed', 'A length in the Avro file is negative.');
    return this.at + length;
  }
}
