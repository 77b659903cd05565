import { pipeline } from 'node:stream/promises';
import { pack, type Pack } from 'tar-stream';
import type { ArchiveEntry } from './archive-entry.js';

/**
 * A tar archive as a stream: ustar, with pax records where a name is long or not ASCII. One content
 * is open at a time; a reader who stops closes it.
 */
export async function* tar(
  entries: AsyncIterable<ArchiveEntry>,
  modifiedAt: Date,
): AsyncGenerator<Buffer, void> {
  const archive = pack();
  const packing = packAll(archive, entries, modifiedAt);
  try {
    yield* archive as AsyncIterable<Buffer>;
  } finally {
    archive.destroy();
    await packing;
  }
}

/** Never throws: what goes wrong ends the archive with that error. */
async function packAll(
  archive: Pack,
  entries: AsyncIterable<ArchiveEntry>,
  modifiedAt: Date,
): Promise<void> {
  try {
    for await (const entry of entries) {
      const content = await entry.open();
      try {
        const { path: name, sizeBytes: size } = entry;
        await pipeline(content, archive.entry({ name, size, mtime: modifiedAt, mode: 0o644 }));
      } finally {
        // Where the reader left while the content was being opened, nothing else closes it.
        content.destroy();
      }
    }
    archive.finalize();
  } catch (error) {
    archive.destroy(error instanceof Error ? error : new Error(String(error)));
  }
}
