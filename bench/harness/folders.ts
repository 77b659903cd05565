import { readdir, rm } from 'node:fs/promises';
import path from 'node:path';

/** Takes away all that lies in a folder, which stays: a server may hold it open. */
export async function emptyFolder(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    await rm(path.join(folder, name), { recursive: true, force: true });
  }
}
