import { Logger } from '@nestjs/common';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { AsyncLocalStorage } from 'node:async_hooks';
import { createHash, randomBytes } from 'node:crypto';
import { appendFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { DataSource } from 'typeorm';
import { collectionOn, readBack, UndeletableBackend } from '../../../test/builders/collection.js';
import { aUser, keysUnder } from '../../../test/builders/storage.js';
import { testDatabase, type TestDatabase } from '../../../test/database/test-database.js';
import type { FileId, UserId } from '../../core/ids.js';
import { LocalBackend } from '../backend/local/local.backend.js';

const HOUR_MS = 60 * 60 * 1000;

let database: TestDatabase;
let dataSource: DataSource;
let root: string;
let backend: UndeletableBackend;
let user: UserId;

beforeAll(async () => {
  Logger.overrideLogger(false);
  database = await testDatabase();
  dataSource = await database.open();
  root = await mkdtemp(path.join(tmpdir(), 'varve-collection-'));
  backend = new UndeletableBackend(await LocalBackend.open(root));
  user = (await aUser(dataSource)).userId;
});

afterAll(async () => {
  await database.drop();
  await rm(root, { recursive: true, force: true });
});

afterEach(async () => {
  backend.onDelete = () => undefined;
  await dataSource.query('TRUNCATE files, upload_holds, storage_deletions, events CASCADE');
  for (const key of await keysUnder(backend, '')) await backend.delete(key);
});

const query = <Row>(sql: string, parameters: unknown[] = []) =>
  dataSource.query<Row[]>(sql, parameters);
const keyOf = (sha256: string) => `artifacts/${sha256.slice(0, 2)}/${sha256.slice(2, 4)}/${sha256}`;
const shaOf = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
const records = () => query<{ object_key: string }>('SELECT * FROM storage_deletions');
const files = async () =>
  (await query<{ id: FileId }>('SELECT id FROM files ORDER BY id')).map(({ id }) => id);
const makeDue = () => query(`UPDATE storage_deletions SET due_at = now() - interval '1 second'`);

/** Puts an object where a crash between its rename and the commit would leave it. */
async function anOrphan(bytes = randomBytes(100)): Promise<string> {
  const key = keyOf(shaOf(bytes));
  await mkdir(path.join(root, path.dirname(key)), { recursive: true });
  await writeFile(path.join(root, key), bytes);
  return key;
}

describe('holds', () => {
  it('that have expired give their references back, and others stay', async () => {
    const storage = collectionOn(dataSource, backend);
    const other = (await aUser(dataSource)).userId;
    const shared = await storage.upload(randomBytes(10), user);
    const bytes = randomBytes(20);
    const both = await storage.upload(bytes, user);
    await storage.upload(bytes, other);
    await query(`UPDATE upload_holds SET expires_at = now() WHERE user_id = $1`, [user]);

    expect(await storage.run()).toMatchObject({ holdsExpired: 2, filesDeleted: 0 });
    expect(
      await query('SELECT id, reference_count FROM files WHERE id = ANY ($1) ORDER BY id', [
        [shared.fileId, both.fileId],
      ]),
    ).toEqual([
      { id: shared.fileId, reference_count: '0' },
      { id: both.fileId, reference_count: '1' },
    ]);
    expect(await query('SELECT file_id, user_id FROM upload_holds')).toEqual([
      { file_id: both.fileId, user_id: other },
    ]);
  });

  it('that somebody is about to renew are passed by', async () => {
    const storage = collectionOn(dataSource, backend, { GC_GRACE: 0 });
    const { fileId } = await storage.upload(randomBytes(10), user);
    await query('UPDATE upload_holds SET expires_at = now()');
    await storage.unitOfWork.run(async (tx) => {
      await tx.query('SELECT 1 FROM files WHERE id = $1 FOR UPDATE', [fileId]);
      // Not joined: a collector is never part of somebody's transaction.
      await detached(async () => {
        expect(await storage.run()).toMatchObject({ holdsExpired: 0, filesDeleted: 0 });
      });
      await tx.query(`UPDATE upload_holds SET expires_at = now() + interval '1 hour'`);
    });
    expect(await storage.run()).toMatchObject({ holdsExpired: 0, filesDeleted: 0 });
    expect(await files()).toEqual([fileId]);
  });
});

describe('files', () => {
  it('go with their bytes once the grace period has passed, and not before', async () => {
    const storage = collectionOn(dataSource, backend, { GC_GRACE: HOUR_MS });
    const [old, young, held] = [
      await storage.upload(randomBytes(10)),
      await storage.upload(randomBytes(11)),
      await storage.upload(randomBytes(12), user),
    ];
    await query(
      `UPDATE files SET unreferenced_since = now() - interval '59 minutes' WHERE id = $1`,
      [young.fileId],
    );
    await query(
      `UPDATE files SET unreferenced_since = now() - interval '61 minutes' WHERE id = $1`,
      [old.fileId],
    );

    expect(await storage.run()).toMatchObject({
      filesDeleted: 1,
      objectsDeleted: 1,
      bytesFreed: 10,
      failures: 0,
    });
    expect(await files()).toEqual([young.fileId, held.fileId]);
    expect((await keysUnder(backend, 'artifacts/')).sort()).toEqual(
      [young, held].map(({ sha256 }) => keyOf(sha256)).sort(),
    );
    expect(await query(`SELECT subject, data FROM events WHERE type = 'file.deleted'`)).toEqual([
      {
        subject: `file/${old.fileId}`,
        data: { fileId: old.fileId, sha256: old.sha256, sizeBytes: 10 },
      },
    ]);
    expect(await records()).toEqual([]);
  });

  it('that are damaged go like others', async () => {
    const storage = collectionOn(dataSource, backend, { GC_GRACE: 0 });
    await storage.upload(randomBytes(10));
    await query('UPDATE files SET damaged_at = now()');
    expect(await storage.run()).toMatchObject({ filesDeleted: 1, objectsDeleted: 1 });
  });

  it('that are referenced against their count stay, and the others of the batch go', async () => {
    const storage = collectionOn(dataSource, backend, { GC_GRACE: 0 });
    const uploads = [];
    for (let i = 0; i < 5; i++) uploads.push(await storage.upload(randomBytes(10), user));
    const kept = [uploads[1]!.fileId, uploads[4]!.fileId];
    // The counts lie: two holds are still there.
    await query('DELETE FROM upload_holds WHERE NOT file_id = ANY ($1)', [kept]);
    await query('UPDATE files SET reference_count = 0, unreferenced_since = now()');

    expect(await storage.run()).toMatchObject({ filesDeleted: 3, objectsDeleted: 3 });
    expect(await files()).toEqual(kept);
    expect((await keysUnder(backend, 'artifacts/')).length).toBe(2);
  });

  it('are told of in the transaction that deletes them, or both do not happen', async () => {
    const storage = collectionOn(dataSource, backend, { GC_GRACE: 0 });
    await storage.upload(randomBytes(10));
    await query(`ALTER TABLE events ADD CONSTRAINT broken CHECK (type <> 'file.deleted')`);
    try {
      await expect(storage.run()).rejects.toThrow(/broken/);
      expect((await files()).length).toBe(1);
      expect(await records()).toEqual([]);
    } finally {
      await query('ALTER TABLE events DROP CONSTRAINT broken');
    }
  });
});

describe('objects that no row names', () => {
  it('are noted, and deleted once the grace period has passed', async () => {
    const storage = collectionOn(dataSource, backend, { GC_GRACE: HOUR_MS });
    const key = await anOrphan();
    expect(await storage.run()).toMatchObject({ orphansFound: 1, objectsDeleted: 0 });
    expect(await storage.run()).toMatchObject({ orphansFound: 0, objectsDeleted: 0 });
    expect(await backend.exists(key)).toBe(true);
    await makeDue();
    expect(await storage.run()).toMatchObject({ objectsDeleted: 1, bytesFreed: 100 });
    expect(await backend.exists(key)).toBe(false);
  });

  it('stay when their content has been uploaded since', async () => {
    const storage = collectionOn(dataSource, backend, { GC_GRACE: 0 });
    const bytes = randomBytes(100);
    await anOrphan(bytes);
    await collectionOn(dataSource, backend, { GC_GRACE: HOUR_MS }).run();
    const { fileId } = await storage.upload(bytes, user);
    await makeDue();
    expect(await storage.run()).toMatchObject({ objectsDeleted: 0, failures: 0 });
    expect(await records()).toEqual([]);
    expect(await readBack(dataSource, backend, fileId)).toBe(shaOf(bytes));
  });

  it('go when the content lies elsewhere by now, and that stays', async () => {
    const storage = collectionOn(dataSource, backend, { GC_GRACE: 0 });
    const bytes = randomBytes(100);
    const { fileId, sha256 } = await storage.upload(bytes, user);
    const copy = `artifacts/copies/${sha256}`;
    await mkdir(path.join(root, 'artifacts/copies'), { recursive: true });
    await writeFile(path.join(root, copy), bytes);
    expect(await storage.run()).toMatchObject({ orphansFound: 1, objectsDeleted: 1 });
    expect(await backend.exists(copy)).toBe(false);
    expect(await readBack(dataSource, backend, fileId)).toBe(sha256);
  });

  it('wait as long as an upload may when nothing tells what they are', async () => {
    const storage = collectionOn(dataSource, backend, { GC_GRACE: 0, STAGING_GRACE: HOUR_MS });
    await writeFile(path.join(root, 'artifacts/stranger'), 'who am I');
    expect(await storage.run()).toMatchObject({ orphansFound: 1, objectsDeleted: 0 });
    await makeDue();
    expect(await storage.run()).toMatchObject({ objectsDeleted: 1, bytesFreed: 8 });
  });

  it('are found in any number', async () => {
    const storage = collectionOn(dataSource, backend, { GC_GRACE: 0 });
    await mkdir(path.join(root, 'artifacts/many'));
    for (let i = 0; i < 2_100; i++) {
      await writeFile(path.join(root, `artifacts/many/${shaOf(Buffer.from(`${i}`))}`), '');
    }
    expect(await storage.run()).toMatchObject({ orphansFound: 2_100, objectsDeleted: 2_100 });
  });
});

describe('an unfinished upload', () => {
  it('is left alone while it runs, whatever the grace period of files', async () => {
    const storage = collectionOn(dataSource, backend, { GC_GRACE: 0, STAGING_GRACE: HOUR_MS });
    const sink = await backend.openStaging();
    for (let i = 0; i < 3; i++) {
      await sink.write(randomBytes(1000));
      expect(await storage.run()).toMatchObject({ objectsDeleted: 0 });
      // Due by the clock, but grown since it was looked at last.
      await sink.write(randomBytes(1000));
      await makeDue();
      expect(await storage.run()).toMatchObject({ objectsDeleted: 0 });
    }
    const staged = await sink.finish();
    expect(staged.sizeBytes).toBe(6000);
    expect(await backend.exists(staged.stagedKey)).toBe(true);
    await backend.discard(staged.stagedKey);
  });

  it('that grows between the sweep and its deletion is put off', async () => {
    const storage = collectionOn(dataSource, backend, { STAGING_GRACE: HOUR_MS });
    await writeFile(path.join(root, 'staging/upload'), 'abc');
    await storage.run();
    await makeDue();
    await appendFile(path.join(root, 'staging/upload'), 'def');
    const { signal } = new AbortController();
    // Without the sweep that would have noticed before.
    const deletions = Reflect.get(storage.collector, 'deletions') as {
      run(signal: AbortSignal): Promise<object>;
    };
    expect(await deletions.run(signal)).toMatchObject({ objectsDeleted: 0, failures: 0 });
    expect(
      await query('SELECT size_bytes, due_at > now() AS later FROM storage_deletions'),
    ).toEqual([{ size_bytes: '6', later: true }]);
  });

  it('that lies still for its own grace period is taken away', async () => {
    const storage = collectionOn(dataSource, backend, { STAGING_GRACE: HOUR_MS });
    await writeFile(path.join(root, 'staging/upload'), 'abc');
    expect(await storage.run()).toMatchObject({ orphansFound: 1, objectsDeleted: 0 });
    await makeDue();
    expect(await storage.run()).toMatchObject({ objectsDeleted: 1, bytesFreed: 3 });
    expect(await keysUnder(backend, '')).toEqual([]);
  });

  it('that has ended by itself is forgotten', async () => {
    const storage = collectionOn(dataSource, backend, { STAGING_GRACE: HOUR_MS });
    await writeFile(path.join(root, 'staging/upload'), 'abc');
    await storage.run();
    await backend.delete('staging/upload');
    await makeDue();
    expect(await storage.run()).toMatchObject({ objectsDeleted: 0, failures: 0 });
    expect(await records()).toEqual([]);
  });

  it('that the server wrote about itself is no orphan, however long it lies there', async () => {
    const key = 'records/one/datasets/12/0000000000000001.json';
    const sink = await backend.openStaging();
    await sink.write(Buffer.from('{}'));
    await backend.finalizeRecord(await sink.finish(), key);
    const storage = collectionOn(dataSource, backend, { GC_GRACE: 0, STAGING_GRACE: 0 });
    expect(await storage.run()).toMatchObject({ orphansFound: 0, objectsDeleted: 0 });
    expect(await backend.exists(key)).toBe(true);
  });

  it('that a row names by its staged key is no orphan', async () => {
    const storage = collectionOn(dataSource, backend, { STAGING_GRACE: HOUR_MS });
    await writeFile(path.join(root, 'staging/kept'), 'abc');
    await storage.run();
    await makeDue();
    await query(
      `INSERT INTO files (storage_type, mime_type, file_path, file_size, content_hash)
       VALUES ('local', 'text/plain', 'staging/kept', 3, $1)`,
      [shaOf(Buffer.from('abc'))],
    );
    expect(await storage.run()).toMatchObject({ objectsDeleted: 0 });
    expect(await backend.exists('staging/kept')).toBe(true);
    expect(await records()).toEqual([]);
  });
});

describe('a collector that fails half-way', () => {
  it('leaves only a record when the bytes are gone and the transaction is not', async () => {
    const storage = collectionOn(dataSource, backend, { GC_GRACE: 0 });
    const { sha256 } = await storage.upload(randomBytes(10));
    backend.onDelete = async (_, step) => {
      if (step === 'after') await killTransactions();
    };
    await expect(storage.run()).rejects.toThrow();
    expect(await backend.exists(keyOf(sha256))).toBe(false);
    expect((await records()).map((record) => record.object_key)).toEqual([keyOf(sha256)]);
    expect(await files()).toEqual([]);

    backend.onDelete = () => undefined;
    expect(await storage.run()).toMatchObject({ objectsDeleted: 0, failures: 0 });
    expect(await records()).toEqual([]);
  });

  it('does not take the bytes of who has uploaded them in between', async () => {
    const storage = collectionOn(dataSource, backend, { GC_GRACE: 0 });
    const bytes = randomBytes(10);
    await storage.upload(bytes);
    backend.onDelete = async (_, step) => {
      if (step === 'after') await killTransactions();
    };
    await expect(storage.run()).rejects.toThrow();
    backend.onDelete = () => undefined;
    const { fileId } = await storage.upload(bytes, user);
    expect(await storage.run()).toMatchObject({ objectsDeleted: 0, failures: 0 });
    expect(await readBack(dataSource, backend, fileId)).toBe(shaOf(bytes));
  });

  it('goes on to other objects, and comes back to the one that it could not delete', async () => {
    const storage = collectionOn(dataSource, backend, { GC_GRACE: 0 });
    const stubborn = await anOrphan();
    for (let i = 0; i < 9; i++) await anOrphan();
    backend.onDelete = (key) => {
      if (key === stubborn) throw new Error('busy');
    };
    const { objectsDeleted, failures } = await storage.run();
    expect([objectsDeleted, failures]).toEqual([9, 1]);
    expect(await keysUnder(backend, '')).toEqual([stubborn]);
    backend.onDelete = () => undefined;
    expect(await storage.run()).toMatchObject({ objectsDeleted: 1, failures: 0 });
  });

  it('gives up for now when nothing can be deleted', async () => {
    const storage = collectionOn(dataSource, backend, { GC_GRACE: 0 });
    for (let i = 0; i < 60; i++) await anOrphan();
    backend.onDelete = () => {
      throw new Error('read-only');
    };
    const { objectsDeleted, failures } = await storage.run();
    expect(objectsDeleted).toBe(0);
    expect(failures).toBeLessThan(60);
    expect((await records()).length).toBe(60);
  });

  it('stops when it is told to', async () => {
    const storage = collectionOn(dataSource, backend, { GC_GRACE: 0 });
    const stop = new AbortController();
    await anOrphan();
    const running = storage.collector.run(stop.signal, async (percent) => {
      if (percent === 60) stop.abort();
    });
    await expect(running).rejects.toThrow(/abort/i);
    expect((await records()).length).toBe(1);
  });
});

describe('the placeholder', () => {
  it('is seen by nobody, and makes an upload of the content wait until the object is gone', async () => {
    const storage = collectionOn(dataSource, backend, { GC_GRACE: 0 });
    const bytes = randomBytes(10);
    await storage.upload(bytes);
    let upload: Promise<{ fileId: FileId }> | undefined;
    let uploaded = false;
    backend.onDelete = async (_, step) => {
      if (step === 'after') return;
      expect(await files()).toEqual([]);
      upload = detached(() => storage.upload(bytes, user));
      void upload.then(() => (uploaded = true));
      // It has got as far as it can when somebody waits for a lock.
      await waitUntilBlocked();
      expect(uploaded).toBe(false);
    };
    expect(await storage.run()).toMatchObject({ objectsDeleted: 1, failures: 0 });
    const { fileId } = await upload!;
    expect(await readBack(dataSource, backend, fileId)).toBe(shaOf(bytes));
    expect(await files()).toEqual([fileId]);
  });

  it('waits for an upload of the content that has not committed, and leaves its bytes alone', async () => {
    const storage = collectionOn(dataSource, backend, { GC_GRACE: 0 });
    const bytes = randomBytes(10);
    let collected: Promise<object> | undefined;
    backend.faults.finalize = async (_, step) => {
      if (step === 'before') return;
      // The object is there, and its row is not for others to see: a sweep takes it for an orphan.
      collected = detached(() => storage.run());
      await waitUntilBlocked();
      expect((await records()).length).toBe(1);
    };
    try {
      const { fileId } = await storage.upload(bytes, user);
      expect(await collected).toMatchObject({ orphansFound: 1, objectsDeleted: 0, failures: 0 });
      expect(await readBack(dataSource, backend, fileId)).toBe(shaOf(bytes));
      expect(await records()).toEqual([]);
    } finally {
      backend.faults = {};
    }
  });
});

/** Runs work outside of the transaction that is running here. */
const detached = AsyncLocalStorage.snapshot();

/** Does to the transactions that are running what the death of their process would. */
async function killTransactions(): Promise<void> {
  await query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE datname = current_database() AND state = 'idle in transaction'`,
  );
}

/** Waits until some query waits for another transaction. */
async function waitUntilBlocked(): Promise<void> {
  for (;;) {
    const [blocked] = await query(
      `SELECT 1 FROM pg_stat_activity
       WHERE datname = current_database() AND wait_event_type = 'Lock'`,
    );
    if (blocked) return;
  }
}
