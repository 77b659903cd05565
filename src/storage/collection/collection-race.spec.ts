import { Logger } from '@nestjs/common';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { DataSource } from 'typeorm';
import { collectionOn, readBack } from '../../../test/builders/collection.js';
import { aUser, expectLawful, keysUnder } from '../../../test/builders/storage.js';
import { testDatabase, type TestDatabase } from '../../../test/database/test-database.js';
import type { FileId } from '../../core/ids.js';
import { LocalBackend } from '../backend/local/local.backend.js';

let database: TestDatabase;
let dataSource: DataSource;
let root: string;
let backend: LocalBackend;

beforeAll(async () => {
  Logger.overrideLogger(false);
  database = await testDatabase();
  dataSource = await database.open();
  root = await mkdtemp(path.join(tmpdir(), 'varve-race-'));
  backend = await LocalBackend.open(root);
});

afterAll(async () => {
  await database.drop();
  await rm(root, { recursive: true, force: true });
});

/** Objects that wait to be deleted, but for uploads that were under way when a sweep came by. */
function recordedContents() {
  return dataSource.query<object[]>(
    'SELECT object_key FROM storage_deletions WHERE content_hash IS NOT NULL',
  );
}

describe('an upload racing two collectors over the same content', () => {
  const UPLOADS = 1_000;

  it(`is there whenever it was answered, ${UPLOADS} times`, async () => {
    const bytes = randomBytes(2_000);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    // Each has a backend, a transaction context and caches of its own, as two processes have.
    const collectors = await Promise.all(
      [1, 2].map(async () =>
        collectionOn(dataSource, await LocalBackend.open(root), { GC_GRACE: 0 }),
      ),
    );
    const uploaders = await Promise.all(
      [1, 2].map(async () => ({
        storage: collectionOn(dataSource, await LocalBackend.open(root)),
        user: (await aUser(dataSource)).userId,
      })),
    );
    let uploads = 0;
    let runs = 0;
    const ids = new Set<FileId>();

    const upload = async ({ storage, user }: (typeof uploaders)[number]) => {
      while (uploads < UPLOADS) {
        uploads += 1;
        const { fileId } = await storage.upload(bytes, user);
        ids.add(fileId);
        expect(await readBack(dataSource, backend, fileId)).toBe(sha256);
        await storage.release(fileId, user);
      }
    };
    const uploading = Promise.all(uploaders.map(upload)).finally(() => (uploads = UPLOADS));
    const collecting = Promise.all(
      collectors.map(async (storage) => {
        let failures = 0;
        while (uploads < UPLOADS) {
          failures += (await storage.run()).failures;
          runs += 1;
        }
        return failures;
      }),
    );
    await uploading;
    expect(await collecting).toEqual([0, 0]);

    // It was a race: the content was collected and came back, again and again.
    expect(runs).toBeGreaterThan(10);
    expect(ids.size).toBeGreaterThan(10);
    await collectors[0]!.run();
    expect(await dataSource.query('SELECT id FROM files')).toEqual([]);
    expect(await recordedContents()).toEqual([]);
    expect(await keysUnder(backend, '')).toEqual([]);
  }, 300_000);
});

describe('two collectors at once', () => {
  it('delete each thing once, and what is still needed not at all', async () => {
    const [first, second] = [1, 2].map(() => collectionOn(dataSource, backend, { GC_GRACE: 0 }));
    const { userId } = await aUser(dataSource);
    await dataSource.query('TRUNCATE events');
    const kept: FileId[] = [];
    for (let i = 0; i < 450; i++) {
      const { fileId } = await first!.upload(randomBytes(50), i % 3 === 0 ? userId : null);
      if (i % 3 === 0) kept.push(fileId);
    }
    const reports = await Promise.all([first!.run(), second!.run()]);
    const sum = (name: 'filesDeleted' | 'objectsDeleted' | 'bytesFreed' | 'failures') =>
      reports[0][name] + reports[1][name];
    expect([sum('filesDeleted'), sum('failures')]).toEqual([300, 0]);
    // One may look for what is due before the other has noted it.
    await first!.run();
    expect(await recordedContents()).toEqual([]);
    expect((await keysUnder(backend, 'artifacts/')).length).toBe(kept.length);
    const [told] = await dataSource.query<{ told: number; files: number }[]>(
      `SELECT count(*)::integer AS told, count(DISTINCT subject)::integer AS files
       FROM events WHERE type = 'file.deleted'`,
    );
    expect(told).toEqual({ told: 300, files: 300 });
    await dataSource.query(
      `DELETE FROM events e WHERE type = 'file.uploaded' AND EXISTS (
         SELECT 1 FROM events d WHERE d.type = 'file.deleted' AND d.subject = e.subject)`,
    );
    await expectLawful(dataSource, backend);
  });
});
