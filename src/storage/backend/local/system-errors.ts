import { StorageFull } from '../../../core/contracts/artifact-producer.js';

const NO_ROOM = new Set(['ENOSPC', 'EDQUOT']);

/** The code of an error of the operating system, such as `ENOENT`. */
export function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException | null)?.code;
}

/** The error as the domain knows it: a full disk or quota is a fact, not a fault. */
export function asStorageError(error: unknown): unknown {
  return NO_ROOM.has(codeOf(error) ?? '') ? new StorageFull() : error;
}
