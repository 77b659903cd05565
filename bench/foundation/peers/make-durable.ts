import { open } from 'node:fs/promises';
import path from 'node:path';

/** Syncs a file and the name that it has, for peers that leave both to the system. */
export async function makeDurable(file: string): Promise<void> {
  for (const target of [file, path.dirname(file)]) {
    const handle = await open(target, 'r');
    await handle.sync();
    await handle.close();
  }
}
