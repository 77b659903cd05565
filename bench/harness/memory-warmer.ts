import { open, readFile, truncate, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import type { Bench } from './bench.js';

const CHUNK_BYTES = 8 * 1024 * 1024;

/** So much is left free, for whoever comes next must not have to wait for room either. */
const LEFT_FREE_BYTES = 1024 * 1024 * 1024;

/** No race here touches more than this between two contestants. */
const MOST_BYTES = 32 * LEFT_FREE_BYTES;

/** More than any machine has memory: a file without a block on the disk may be as large as one likes. */
const SPARSE_BYTES = 2 ** 42;

/**
 * Fills free memory with what may be dropped at any time, as it is on a server that has run for a
 * while. On a virtual machine the first touch of a page, or of one that went back to the host, takes
 * many times as long as writing it to the disk does; whoever comes first would pay for all.
 */
export class MemoryWarmer {
  private position = 0;
  private readonly chunk = Buffer.alloc(CHUNK_BYTES);

  private constructor(private readonly file: FileHandle) {}

  static async open(bench: Bench): Promise<MemoryWarmer> {
    const filePath = path.join(bench.root, 'sparse');
    const file = await open(filePath, 'w+');
    await truncate(filePath, SPARSE_BYTES);
    bench.defer(() => file.close());
    return new MemoryWarmer(file);
  }

  async warm(): Promise<void> {
    for (
      let missing = Math.min((await freeBytes()) - LEFT_FREE_BYTES, MOST_BYTES);
      missing > 0;
      missing -= CHUNK_BYTES
    ) {
      await this.file.read(this.chunk, 0, CHUNK_BYTES, this.position);
      this.position = (this.position + CHUNK_BYTES) % SPARSE_BYTES;
    }
  }
}

/** Memory that nobody uses for anything, not even as a cache; 0 where the system does not say. */
async function freeBytes(): Promise<number> {
  const text = await readFile('/proc/meminfo', 'utf8').catch(() => '');
  return Number(/^MemFree:\s+(\d+) kB$/m.exec(text)?.[1] ?? 0) * 1024;
}
