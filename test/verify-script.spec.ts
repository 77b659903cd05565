import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import type { DataSource } from 'typeorm';
import { LocalBackend } from '../src/storage/backend/local/local.backend.js';
import { collectionOn } from './builders/collection.js';
import { aUser, keysUnder } from './builders/storage.js';
import { testDatabase, type TestDatabase } from './database/test-database.js';

let database: TestDatabase;
let dataSource: DataSource;
let root: string;

beforeAll(async () => {
  database = await testDatabase();
  dataSource = await database.open();
  root = await mkdtemp(path.join(tmpdir(), 'varve-verify-'));
});

afterAll(async () => {
  await database.drop();
  await rm(root, { recursive: true, force: true });
});

/** Runs the script as a process of its own, as an operator does. */
function verify(...options: string[]): Promise<{ code: number; out: string; err: string }> {
  const script = ['--import', './test/typescript.mjs', 'scripts/verify.ts', ...options];
  return new Promise((resolve) => {
    execFile(process.execPath, script, (error, out, err) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, out, err });
    });
  });
}

describe('npm run verify', () => {
  it('ends with 0 when nothing is wrong and with 1 when something is', async () => {
    const backend = await LocalBackend.open(root);
    const storage = collectionOn(dataSource, backend);
    const { userId } = await aUser(dataSource);
    await storage.upload(randomBytes(10), userId);
    await storage.upload(randomBytes(3_000_000), userId);
    const where = ['--database-url', database.url, '--storage-url', pathToFileURL(root).href];

    const whole = await verify(...where);
    expect(whole).toEqual({
      code: 0,
      out: 'Checked 2 files and hashed 2.9 MiB.\nNothing is wrong.\n',
      err: '',
    });

    const [key] = await keysUnder(backend, 'artifacts/');
    await truncate(path.join(root, key!), 3);
    const broken = await verify(...where, '--json', '--no-hash');
    expect(broken.code).toBe(1);
    expect(JSON.parse(broken.out)).toMatchObject({
      ok: false,
      filesChecked: 2,
      bytesHashed: 0,
      findings: [{ kind: 'size', path: key, actual: '3' }],
    });
  });

  it('ends with 2, and a sentence, when it cannot tell', async () => {
    const missing = path.join(root, 'nowhere');
    expect(await verify('--data-dir', missing)).toEqual({
      code: 2,
      out: '',
      err: `There is no data directory ${missing}.\n`,
    });
    expect(await verify('--data-dir', root)).toMatchObject({
      code: 2,
      err: expect.stringMatching(/no database in/),
    });
    expect(await verify('--nonsense')).toMatchObject({
      code: 2,
      err: expect.stringMatching(/nonsense/),
    });
    expect((await verify('--help')).out).toMatch(/^Usage: npm run verify/);
  });
});
