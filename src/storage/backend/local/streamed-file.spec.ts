import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdtemp, open, readFile, rm, type FileHandle } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { StorageFull } from '../../../core/contracts/artifact-producer.js';
import { openDirect, StreamedFile } from './streamed-file.js';

const MEBIBYTE = 1024 * 1024;

/** A file whose steps fail where they are told to, and which counts them. */
class FaultyFile {
  syncs = 0;
  writtenBytes = 0;
  failSync: (sync: number) => Error | null = () => null;
  failWrite: () => Error | null = () => null;
  /** How much one write takes at the most. */
  mostBytes = Infinity;

  constructor(private readonly file: FileHandle) {}

  async write(buffer: Buffer, offset: number, length: number, position: number) {
    const failure = this.failWrite();
    if (failure) throw failure;
    this.writtenBytes += Math.min(length, this.mostBytes);
    return this.file.write(buffer, offset, Math.min(length, this.mostBytes), position);
  }

  async datasync(): Promise<void> {
    const failure = this.failSync(++this.syncs);
    if (failure) throw failure;
    await this.file.datasync();
  }

  close(): Promise<void> {
    return this.file.close();
  }
}

describe('StreamedFile', () => {
  let root: string;
  let file: FaultyFile;
  let streamed: StreamedFile;

  beforeEach(async () => {
    root = await mkdtemp(path.join(tmpdir(), 'varve-streamed-'));
    file = new FaultyFile(await open(path.join(root, 'file'), 'wx'));
    streamed = new StreamedFile(file as unknown as FileHandle, null);
  });

  afterEach(() => rm(root, { recursive: true }));

  it('goes on where the system takes only a part of a write', async () => {
    file.mostBytes = 7;
    await Promise.all([
      streamed.write(Buffer.alloc(20, 'a')),
      streamed.write(Buffer.alloc(9, 'b')),
    ]);
    await streamed.finish();
    const written = await readFile(path.join(root, 'file'), 'utf8');
    expect(written).toBe('a'.repeat(20) + 'b'.repeat(9));
  });

  it('syncs while it is written, and once more at the end', async () => {
    const batch = Buffer.alloc(MEBIBYTE);
    for (let written = 0; written < 40; written++) await streamed.write(batch);
    const before = file.syncs;
    expect(before).toBeGreaterThan(0);
    await streamed.finish();
    expect(file.syncs).toBe(before + 1);
  });

  it('does not forget a sync that failed, though the next one reports success', async () => {
    file.failSync = (sync) => (sync === 1 ? new Error('EIO') : null);
    const batch = Buffer.alloc(MEBIBYTE);
    const writeAll = async () => {
      for (let written = 0; written < 40; written++) await streamed.write(batch);
      await streamed.finish();
    };
    await expect(writeAll()).rejects.toThrow('EIO');
    await expect(streamed.finish()).rejects.toThrow('EIO');
    await streamed.close();
  });

  it('takes nothing after a write that failed, and says why', async () => {
    file.failWrite = () => Object.assign(new Error('quota'), { code: 'EDQUOT' });
    await expect(streamed.write(Buffer.alloc(10))).rejects.toThrow(StorageFull);
    file.failWrite = () => null;
    await expect(streamed.write(Buffer.alloc(10))).rejects.toThrow(StorageFull);
    await expect(streamed.finish()).rejects.toThrow(StorageFull);
    await streamed.close();
    await streamed.close();
  });

  describe('past the page cache', () => {
    const bytes = randomBytes(3 * MEBIBYTE + 5000);
    let direct: FaultyFile;

    beforeEach(async () => {
      direct = new FaultyFile(await open(path.join(root, 'file'), 'r+'));
      streamed = new StreamedFile(file as unknown as FileHandle, direct as unknown as FileHandle);
    });

    async function writeAll(): Promise<Buffer> {
      // Memory of its own, from its beginning.
      const memory = Buffer.from(Uint8Array.from(bytes).buffer);
      for (let at = 0; at < memory.length; at += MEBIBYTE) {
        await streamed.write(memory.subarray(at, at + MEBIBYTE));
      }
      await streamed.finish();
      return readFile(path.join(root, 'file'));
    }

    it('writes whole blocks, and the rest as ever', async () => {
      expect((await writeAll()).equals(bytes)).toBe(true);
      expect(direct.writtenBytes).toBe(3 * MEBIBYTE + 4096);
      expect(file.writtenBytes).toBe(5000 - 4096);
    });

    it('goes on as ever where the system takes only a part', async () => {
      direct.mostBytes = 1000;
      expect((await writeAll()).equals(bytes)).toBe(true);
      expect(file.writtenBytes).toBeGreaterThan(3 * MEBIBYTE);
    });

    it('goes on as ever where the file system turns out not to have that way', async () => {
      direct.failWrite = () => Object.assign(new Error('alignment'), { code: 'EINVAL' });
      expect((await writeAll()).equals(bytes)).toBe(true);
      expect(file.writtenBytes).toBe(bytes.length);
    });

    it('says when there is no room', async () => {
      direct.failWrite = () => Object.assign(new Error('full'), { code: 'ENOSPC' });
      await expect(writeAll()).rejects.toThrow(StorageFull);
      await streamed.close();
    });

    it('is open only where there is a file', async () => {
      await expect(openDirect(path.join(root, 'nothing'))).rejects.toThrow('ENOENT');
    });
  });
});
