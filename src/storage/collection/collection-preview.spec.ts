import { Logger } from '@nestjs/common';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { createHash, randomBytes } from 'node:crypto';
import { appendFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { DataSource } from 'typeorm';
import { collectionOn } from '../../../test/builders/collection.js';
import { aUser, keysUnder } from '../../../test/builders/storage.js';
import { testDatabase, type TestDatabase } from '../../../test/database/test-database.js';
import type { UserId } from '../../core/ids.js';
import { LocalBackend } from '../backend/local/local.backend.js';
import { isPreviewCursor, type Candidate, type PreviewCursor } from './collection-preview.js';

const HOUR_MS = 60 * 60 * 1000;

let database: TestDatabase;
let dataSource: DataSource;
let root: string;
let backend: LocalBackend;
let user: UserId;

type Storage = ReturnType<typeof collectionOn>;

beforeAll(async () => {
  Logger.overrideLogger(false);
  database = await testDatabase();
  dataSource = await database.open();
  root = await mkdtemp(path.join(tmpdir(), 'varve-preview-'));
  backend = await LocalBackend.open(root);
  user = (await aUser(dataSource)).userId;
});

afterAll(async () => {
  await database.drop();
  await rm(root, { recursive: true, force: true });
});

beforeEach(async () => {
  await dataSource.query('TRUNCATE files, upload_holds, storage_deletions CASCADE');
  for (const key of await keysUnder(backend, '')) await backend.delete(key);
});

/** Reads all pages of a dry run. */
async function dryRun({ preview }: Storage, limit: number): Promise<Candidate[]> {
  await preview.refresh(new AbortController().signal);
  const all: Candidate[] = [];
  for (let after: PreviewCursor | null = null; ;) {
    const page = await preview.page(after, limit);
    all.push(...page.map(({ candidate }) => candidate));
    if (page.length < limit) return all;
    after = page.at(-1)!.cursor;
    expect(isPreviewCursor(JSON.parse(JSON.stringify(after)))).toBe(true);
  }
}

async function snapshot() {
  const files = await dataSource.query<{ id: number }[]>('SELECT id FROM files');
  return { ids: new Set(files.map(({ id }) => id)), keys: await keysUnder(backend, '') };
}

/** Some of everything: kept, held, expired, unreferenced, orphaned and half uploaded. */
async function aMess(storage: Storage): Promise<void> {
  for (let i = 0; i < 4; i++) await storage.upload(randomBytes(10 + i));
  for (let i = 0; i < 3; i++) await storage.upload(randomBytes(20 + i), user);
  await dataSource.query('UPDATE upload_holds SET expires_at = now()');
  for (let i = 0; i < 3; i++) await storage.upload(randomBytes(30 + i), user);
  for (let i = 0; i < 3; i++) {
    const bytes = randomBytes(40 + i);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    const directory = `artifacts/${sha256.slice(0, 2)}/${sha256.slice(2, 4)}`;
    await mkdir(path.join(root, directory), { recursive: true });
    await writeFile(path.join(root, directory, sha256), bytes);
  }
  await writeFile(path.join(root, 'staging/broken-off'), 'abc');
}

describe('a dry run', () => {
  it.each([1, 2, 1000])(
    'names just what a run then deletes without a grace period, %d to a page',
    async (limit) => {
      const storage = collectionOn(dataSource, backend, { GC_GRACE: 0, STAGING_GRACE: 0 });
      await aMess(storage);
      const before = await snapshot();

      const candidates = await dryRun(storage, limit);
      const totals = await storage.preview.totals();
      expect(await snapshot()).toEqual(before);

      const report = await storage.run();
      const after = await snapshot();
      const gone = before.keys.filter((key) => !after.keys.includes(key));
      expect(candidates.map((candidate) => candidate.path).sort()).toEqual(gone.sort());
      expect(candidates.flatMap(({ fileId }) => fileId ?? []).sort((a, b) => a - b)).toEqual(
        [...before.ids].filter((id) => !after.ids.has(id)).sort((a, b) => a - b),
      );
      expect(totals).toEqual({ files: 7, objects: 4, sizeBytes: report.bytesFreed });
      expect(candidates.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)).toBe(report.bytesFreed);
      expect(Object.groupBy(candidates, ({ reason }) => reason)).toMatchObject({
        unreferenced: Array(4).fill({ sha256: expect.stringMatching(/^[0-9a-f]{64}$/) }),
        'hold-expired': Array(3).fill({ since: expect.any(Date) }),
        orphan: Array(3).fill({ fileId: null, sha256: expect.any(String) }),
        'abandoned-upload': [{ fileId: null, sha256: null, path: 'staging/broken-off' }],
      });
    },
  );

  it('names only what the grace period is over for', async () => {
    const storage = collectionOn(dataSource, backend, { GC_GRACE: HOUR_MS });
    await aMess(storage);
    expect(await dryRun(storage, 10)).toEqual([]);
    expect(await storage.preview.totals()).toEqual({ files: 0, objects: 0, sizeBytes: 0 });
    await storage.run();
    await dataSource.query(
      `UPDATE files SET unreferenced_since = now() - interval '2 hours' WHERE reference_count = 0`,
    );
    await dataSource.query(`UPDATE storage_deletions SET due_at = now()`);
    // It goes on after all.
    await appendFile(path.join(root, 'staging/broken-off'), 'def');
    const before = await snapshot();
    const candidates = await dryRun(storage, 3);
    expect(candidates.map(({ reason }) => reason)).toEqual([
      ...Array<string>(7).fill('unreferenced'),
      ...Array<string>(3).fill('orphan'),
    ]);
    await storage.run();
    const after = await snapshot();
    const gone = before.keys.filter((key) => !after.keys.includes(key));
    expect(candidates.map((candidate) => candidate.path).sort()).toEqual(gone.sort());
  });
});

describe('isPreviewCursor', () => {
  it.each([[['files', 1]], [['holds', 2 ** 31 - 1]], [['objects', 'artifacts/a']]])(
    'accepts %j',
    (value) => expect(isPreviewCursor(value)).toBe(true),
  );

  it.each([
    [null],
    ['files'],
    [['files']],
    [['files', 0]],
    [['files', 1.5]],
    [['files', 2 ** 31]],
    [['files', '1']],
    [['holds', 'a']],
    [['objects', 1]],
    [['objects', 'a\0']],
    [['objects', '\ud800']],
    [['others', 1]],
    [['files', 1, 2]],
  ])('refuses %j', (value) => expect(isPreviewCursor(value)).toBe(false));
});
