import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { lockDataDir } from './data-dir-lock.js';

describe('lockDataDir', () => {
  let dataDir: string;

  beforeEach(async () => {
    dataDir = path.join(await mkdtemp(path.join(tmpdir(), 'varve-lock-')), 'made', 'for it');
  });
  afterEach(() => rm(path.resolve(dataDir, '../..'), { recursive: true }));

  it('takes a directory for one holder, and names the other that has it', async () => {
    const lock = await lockDataDir(dataDir);
    await expect(lockDataDir(dataDir)).rejects.toMatchObject({
      name: 'DataDirInUse',
      dataDir,
      holder: process.pid,
    });
    await expect(lockDataDir(dataDir)).rejects.toThrow(
      `${dataDir} is in use by another Varve server (process ${process.pid}).`,
    );
    await lock.release();
    await lock.release();
    await (await lockDataDir(dataDir)).release();
  });

  it('lets exactly one of many have it', async () => {
    const tries = await Promise.allSettled(Array.from({ length: 20 }, () => lockDataDir(dataDir)));
    const won = tries.filter((attempt) => attempt.status === 'fulfilled');
    expect(won).toHaveLength(1);
    await won[0]!.value.release();
  });

  it('refuses also when it cannot tell who has it', async () => {
    const lock = await lockDataDir(dataDir);
    await writeFile(path.join(dataDir, 'varve.pid'), '');
    await expect(lockDataDir(dataDir)).rejects.toMatchObject({ holder: null });
    await lock.release();
    await expect(readFile(path.join(dataDir, 'varve.pid'))).rejects.toThrow('ENOENT');
  });

  it('says that a directory cannot be used', async () => {
    await expect(lockDataDir('/dev/null/data')).rejects.toMatchObject({ name: 'DataDirUnusable' });
    const lock = await lockDataDir(dataDir);
    await lock.release();
    await writeFile(path.join(dataDir, 'varve.lock'), 'this is no database at all'.repeat(100));
    await expect(lockDataDir(dataDir)).rejects.toMatchObject({ name: 'DataDirUnusable' });
  });
});
