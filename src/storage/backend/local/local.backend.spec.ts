import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describeStorageBackend } from '../../../../test/conformance/storage-backend.js';
import { ObjectMissing } from '../../../core/contracts/storage-backend.js';
import { DurableDirectories } from './durable-directories.js';
import { LocalBackend, StorageLayoutBroken } from './local.backend.js';

const makeRoot = () => mkdtemp(path.join(tmpdir(), 'varve-backend-'));

const digestOf = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

async function store(backend: LocalBackend, bytes: Buffer): Promise<string> {
  const sink = await backend.openStaging();
  await sink.write(bytes);
  return backend.finalize(await sink.finish(), digestOf(bytes));
}

describeStorageBackend('local', async () => {
  const root = await makeRoot();
  return {
    backend: await LocalBackend.open(root),
    reopen: () => LocalBackend.open(root),
    dispose: () => rm(root, { recursive: true }),
  };
});

describe('LocalBackend', () => {
  let root: string;

  beforeEach(async () => {
    root = await makeRoot();
  });

  afterEach(() => rm(root, { recursive: true }));

  it('makes the directories it needs, with their parents', async () => {
    await LocalBackend.open(path.join(root, 'deep', 'er'));
    expect(await readdir(path.join(root, 'deep', 'er'))).toEqual(['artifacts', 'staging']);
  });

  it('lays contents out as artifacts/ab/cd/<sha256>', async () => {
    const backend = await LocalBackend.open(root);
    const bytes = Buffer.from('abc');
    const sha256 = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';
    expect(await store(backend, bytes)).toBe(`artifacts/ba/78/${sha256}`);
    expect(await readFile(path.join(root, 'artifacts/ba/78', sha256))).toEqual(bytes);
  });

  it('writes what is in memory straight to where it stays', async () => {
    const backend = await LocalBackend.open(root);
    const contents = [Buffer.from('abc'), randomBytes(5000)];
    const staged = await backend.stageAll(contents);
    expect(await readdir(path.join(root, 'staging'))).toEqual([]);
    const keys = await Promise.all(
      staged.map((one, i) => backend.finalize(one, digestOf(contents[i]!))),
    );
    for (const [i, key] of keys.entries()) {
      expect(await readFile(path.join(root, key))).toEqual(contents[i]);
    }
    expect(await readdir(path.join(root, 'staging'))).toEqual([]);
  });

  it('replaces what a crash has left there, and what takes its place, but follows no link', async () => {
    const backend = await LocalBackend.open(root);
    const bytes = randomBytes(100);
    const finalize = async () => {
      const [staged] = await backend.stageAll([bytes]);
      return path.join(root, await backend.finalize(staged!, digestOf(bytes)));
    };
    const file = await finalize();
    await writeFile(file, 'torn');
    expect(await finalize()).toBe(file);
    expect(await readFile(file)).toEqual(bytes);
    const outside = path.join(root, 'outside');
    await rm(file);
    await symlink(outside, file);
    await finalize();
    expect(existsSync(outside)).toBe(false);
    expect(await readFile(file)).toEqual(bytes);
    await rm(path.dirname(file), { recursive: true });
    await finalize();
    expect(await readFile(file)).toEqual(bytes);
    expect(await readdir(path.join(root, 'staging'))).toEqual([]);
  });

  it('refuses to start where a link or a file stands for a folder', async () => {
    const outside = path.join(root, 'outside');
    await mkdir(outside);
    const storage = path.join(root, 'storage');
    await mkdir(storage);
    await symlink(outside, path.join(storage, 'artifacts'));
    await expect(LocalBackend.open(storage)).rejects.toThrow(StorageLayoutBroken);
    await rm(path.join(storage, 'artifacts'));
    await writeFile(path.join(storage, 'artifacts'), '');
    await expect(LocalBackend.open(storage)).rejects.toThrow(StorageLayoutBroken);
  });

  it('refuses to start where staging is on another disk (only where one can be mounted)', async () => {
    await LocalBackend.open(root);
    const staging = path.join(root, 'staging');
    const mount = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', staging]);
    if (mount.status !== 0) return;
    try {
      await expect(LocalBackend.open(root)).rejects.toThrow('different file systems');
    } finally {
      spawnSync('umount', [staging]);
    }
  });

  it('follows no link that stands for an object', async () => {
    const backend = await LocalBackend.open(root);
    const secret = path.join(root, 'secret');
    await writeFile(secret, 'secret');
    const key = await store(backend, randomBytes(10));
    await rm(path.join(root, key));
    await symlink(secret, path.join(root, key));
    await expect(backend.open(key)).rejects.toThrow(ObjectMissing);
    await expect(backend.openReader(key)).rejects.toThrow(ObjectMissing);
    await expect(backend.info(key)).rejects.toThrow(ObjectMissing);
    expect(await backend.exists(key)).toBe(false);
  });

  it('follows no link that stands for a folder on the way, reading, deleting or writing', async () => {
    const bytes = randomBytes(10);
    const key = await store(await LocalBackend.open(root), bytes);
    const folder = path.join(root, path.dirname(key));
    const outside = path.join(root, 'outside');
    await mkdir(outside);
    await writeFile(path.join(outside, path.basename(key)), 'outside');
    await rm(folder, { recursive: true });
    await symlink(outside, folder);
    const backend = await LocalBackend.open(root);
    await expect(backend.open(key)).rejects.toThrow(ObjectMissing);
    expect(await backend.exists(key)).toBe(false);
    expect(await backend.delete(key)).toBe(false);
    await expect(store(backend, bytes)).rejects.toThrow('not a directory');
    expect(await readFile(path.join(outside, path.basename(key)), 'utf8')).toBe('outside');
    for await (const object of backend.list('artifacts/')) {
      expect(object).toBe('nothing that lies outside');
    }
  });

  it('does not take a directory for an object', async () => {
    const backend = await LocalBackend.open(root);
    const key = await store(backend, randomBytes(10));
    const folderKey = path.posix.dirname(key);
    await expect(backend.open(folderKey)).rejects.toThrow(ObjectMissing);
    expect(await backend.exists(folderKey)).toBe(false);
    expect(await backend.delete(folderKey)).toBe(false);
    expect(existsSync(path.join(root, key))).toBe(true);
  });

  it('passes by what is no object of its own', async () => {
    const backend = await LocalBackend.open(root);
    await writeFile(path.join(root, 'artifacts', '.DS_Store'), '');
    await writeFile(path.join(root, 'artifacts', 'odd name'), '');
    for await (const object of backend.list('')) expect(object).toBe('nothing');
  });

  it('lists nothing where a folder was taken away', async () => {
    const backend = await LocalBackend.open(root);
    await rm(path.join(root, 'staging'), { recursive: true });
    for await (const object of backend.list('')) expect(object).toBe('nothing');
  });

  it('makes folders again that somebody tidied away', async () => {
    const backend = await LocalBackend.open(root);
    const bytes = randomBytes(10);
    const key = await store(backend, bytes);
    const folder = path.join(root, key.split('/', 2).join('/'));
    await rm(folder, { recursive: true });
    expect(await store(backend, bytes)).toBe(key);
    // Of another content, the folder that is gone is a parent of one yet to be made.
    await rm(folder, { recursive: true });
    const sink = await backend.openStaging();
    const neighbour = key.split('/')[1]! + 'ff'.repeat(31);
    const other = await backend.finalize(await sink.finish(), neighbour);
    expect(await backend.exists(other)).toBe(true);
  });

  it('cannot be written to once staging is gone', async () => {
    const backend = await LocalBackend.open(root);
    await rm(path.join(root, 'staging'), { recursive: true });
    await expect(backend.checkWritable()).rejects.toThrow('ENOENT');
  });
});

describe('DurableDirectories', () => {
  let root: string;

  beforeEach(async () => {
    root = await makeRoot();
  });

  afterEach(() => rm(root, { recursive: true }));

  it('syncs for everybody who asked before it began, and again for those who came later', async () => {
    const directories = new DurableDirectories(root);
    const first = directories.sync(root);
    const second = directories.sync(root);
    const third = directories.sync(root);
    // The first may have begun before the later ones' changes; those share the next.
    expect(second).not.toBe(first);
    expect(third).toBe(second);
    await Promise.all([first, second, third]);
    const fourth = directories.sync(root);
    expect(fourth).not.toBe(third);
    await fourth;
  });

  it('fails for everybody where the directory is gone, and recovers with it', async () => {
    const directories = new DurableDirectories(root);
    const gone = path.join(root, 'gone');
    const both = [directories.sync(gone), directories.sync(gone)];
    for (const outcome of await Promise.allSettled(both)) expect(outcome.status).toBe('rejected');
    await mkdir(gone);
    await directories.sync(gone);
  });

  it('tries again to make a directory that could not be made', async () => {
    const directories = new DurableDirectories(root);
    const inWay = path.join(root, 'a');
    await writeFile(inWay, '');
    await expect(directories.ensure(path.join(inWay, 'b'))).rejects.toThrow('not a directory');
    await rm(inWay);
    await directories.ensure(path.join(inWay, 'b'));
    expect(await readdir(inWay)).toEqual(['b']);
  });
});
