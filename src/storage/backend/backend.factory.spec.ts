import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { InvalidConfig } from '../../platform/config/config.js';
import { createStorageBackend } from './backend.factory.js';

describe('createStorageBackend', () => {
  let root: string;

  beforeEach(async () => {
    root = await mkdtemp(path.join(tmpdir(), 'varve-factory-'));
  });

  afterEach(() => rm(root, { recursive: true }));

  it('keeps bytes in DATA_DIR unless told otherwise', async () => {
    expect((await createStorageBackend(undefined, { DATA_DIR: root })).type).toBe('local');
    expect(await readdir(root)).toEqual(['artifacts', 'staging']);
  });

  it('keeps bytes where a file: URL says, odd names and all', async () => {
    const url = pathToFileURL(path.join(root, 'där drüben')).href;
    await createStorageBackend(url, { DATA_DIR: '/nowhere' });
    expect(await readdir(path.join(root, 'där drüben'))).toEqual(['artifacts', 'staging']);
  });

  it.each([
    ['s3://bucket/prefix', 's3:'],
    ['file:data', 'absolute'],
    ['file://host/data', 'absolute'],
  ])('refuses %s with a sentence', async (url, word) => {
    const refused = createStorageBackend(url, { DATA_DIR: root });
    await expect(refused).rejects.toThrow(InvalidConfig);
    await expect(refused).rejects.toThrow(word);
  });

  it('refuses a layout that cannot work with a sentence that names the setting', async () => {
    await writeFile(path.join(root, 'staging'), '');
    const refused = createStorageBackend(undefined, { DATA_DIR: root });
    await expect(refused).rejects.toThrow(InvalidConfig);
    await expect(refused).rejects.toThrow('STORAGE_URL');
  });

  it('lets other faults of the file system be seen as they are', async () => {
    await writeFile(path.join(root, 'file'), '');
    const refused = createStorageBackend(undefined, { DATA_DIR: path.join(root, 'file') });
    await expect(refused).rejects.toMatchObject({ code: 'EEXIST' });
  });
});
