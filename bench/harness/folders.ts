import { readdir, rm } from 'node:fs/promises';
import path from 'node:path';

/**
 * Takes a folder away with all that lies in it. What a program that is still ending puts there
 * meanwhile goes with a further attempt.
 */
export function removeFolder(folder: string): Promise<void> {
  return rm(folder, { recursive: true, force: true, maxRetries: 5 });
}

/** Takes away all that lies in a folder, which stays: a server may hold it open. */
export async function emptyFolder(folder: string): Promise<void> {
  for (const name of await readdir(folder)) await removeFolder(path.join(folder, name));
}
