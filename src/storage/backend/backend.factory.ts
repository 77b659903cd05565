import { fileURLToPath } from 'node:url';
import type { StorageBackend } from '../../core/contracts/storage-backend.js';
import { InvalidConfig, type Config } from '../../platform/config/config.js';
import { LocalBackend, StorageLayoutBroken } from './local/local.backend.js';

/**
 * Opens the backend that `STORAGE_URL` names; without one, the local one in `DATA_DIR`.
 * @throws InvalidConfig with a sentence that says what to set instead
 */
export async function createStorageBackend(
  url: string | undefined,
  config: Pick<Config, 'DATA_DIR'>,
): Promise<StorageBackend> {
  const scheme = url?.slice(0, url.indexOf(':')).toLowerCase() ?? 'file';
  if (scheme !== 'file') {
    throw new InvalidConfig([
      `STORAGE_URL names a storage this server does not know, ${scheme}:; it takes file:///path.`,
    ]);
  }
  try {
    return await LocalBackend.open(url === undefined ? config.DATA_DIR : directoryOf(url));
  } catch (error) {
    if (error instanceof StorageLayoutBroken) {
      throw new InvalidConfig([`STORAGE_URL cannot be used: ${error.message}`]);
    }
    throw error;
  }
}

function directoryOf(url: string): string {
  // A relative path would silently become one below the file system's root.
  if (!/^file:\/\/\//i.test(url)) {
    throw new InvalidConfig(['STORAGE_URL takes an absolute path, such as file:///srv/varve.']);
  }
  return fileURLToPath(url);
}
