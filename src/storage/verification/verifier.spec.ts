import { Logger } from '@nestjs/common';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { mkdtemp, open, rm, truncate, unlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { DataSource } from 'typeorm';
import { collectionOn, readBack } from '../../../test/builders/collection.js';
import { aUser, FaultyBackend, keysUnder } from '../../../test/builders/storage.js';
import { testDatabase, type TestDatabase } from '../../../test/database/test-database.js';
import type { ObjectReader } from '../../core/contracts/storage-backend.js';
import type { FileId, UserId } from '../../core/ids.js';
import { Sha256Workers } from '../artifact/sha256-workers.js';
import { LocalBackend } from '../backend/local/local.backend.js';
import type { Finding } from './findings.js';
import { referencesBySchema } from './reference-recount.js';
import type { VerifiedDatabase } from './verified-database.js';
import { Verifier, type VerificationReport } from './verifier.js';

const MEBIBYTE = 1024 * 1024;

/** A backend in which reading can be interrupted. */
class InterruptedBackend extends FaultyBackend {
  onRead: (key: string, position: number) => Promise<void> | void = () => undefined;

  override async openReader(key: string): Promise<ObjectReader> {
    const reader = await super.openReader(key);
    return {
      read: async (buffer, position) => {
        await this.onRead(key, position);
        return reader.read(buffer, position);
      },
      close: () => reader.close(),
    };
  }
}

let database: TestDatabase;
let dataSource: DataSource;
let verified: VerifiedDatabase;
let root: string;
let backend: InterruptedBackend;
let storage: ReturnType<typeof collectionOn>;
let user: UserId;
const workers = new Sha256Workers();

beforeAll(async () => {
  Logger.overrideLogger(false);
  database = await testDatabase();
  dataSource = await database.open();
  root = await mkdtemp(path.join(tmpdir(), 'varve-verification-'));
  backend = new InterruptedBackend(await LocalBackend.open(root));
  storage = collectionOn(dataSource, backend, { GC_GRACE: 0 });
  user = (await aUser(dataSource)).userId;
  const { unitOfWork } = storage;
  verified = {
    query: (sql, parameters) => unitOfWork.read((tx) => tx.query(sql, parameters)),
    transaction: (work) => unitOfWork.run(work),
  };
});

afterAll(async () => {
  await workers.close();
  await database.drop();
  await rm(root, { recursive: true, force: true });
});

afterEach(async () => {
  backend.onRead = () => undefined;
  backend.faults = {};
  await dataSource.query('TRUNCATE files, upload_holds, storage_deletions CASCADE');
  for (const key of await keysUnder(backend, '')) await backend.delete(key);
});

async function verify(hash = true, signal = new AbortController().signal) {
  const sources = await referencesBySchema(verified);
  return new Verifier(verified, backend, sources, workers).verify({ hash, signal });
}

interface Stored {
  readonly id: FileId;
  readonly bytes: Buffer;
  readonly sha256: string;
  readonly path: string;
}

async function aFile(bytes = randomBytes(1000)): Promise<Stored> {
  const { fileId, sha256 } = await storage.upload(bytes, user);
  const key = `artifacts/${sha256.slice(0, 2)}/${sha256.slice(2, 4)}/${sha256}`;
  return { id: fileId, bytes, sha256, path: path.join(root, key) };
}

async function flipByte(file: Stored, position: number): Promise<void> {
  const handle = await open(file.path, 'r+');
  await handle.write(Buffer.from([file.bytes[position]! ^ 1]), 0, 1, position);
  await handle.close();
}

async function isDamaged(file: Stored): Promise<boolean> {
  const [row] = await dataSource.query<{ damaged: boolean }[]>(
    'SELECT damaged_at IS NOT NULL AS damaged FROM files WHERE id = $1',
    [file.id],
  );
  return row!.damaged;
}

/** The file that a finding is of; null for those of no file. */
const fileOf = (finding: Finding) => ('fileId' in finding ? finding.fileId : null);
const kindsOf = ({ findings }: VerificationReport) =>
  findings.map((finding) => [finding.kind, fileOf(finding)]);

describe('a verification', () => {
  it('finds nothing wrong with what is whole, however large', async () => {
    const sizes = [0, 1, 300_000, MEBIBYTE, MEBIBYTE + 1, 5 * MEBIBYTE + 3];
    for (const size of sizes) await aFile(randomBytes(size));
    expect(await verify()).toEqual({
      ok: true,
      filesChecked: sizes.length,
      bytesHashed: sizes.reduce((sum, size) => sum + size, 0),
      recovered: 0,
      findingCounts: {},
      findings: [],
      orphans: { objects: 0, sizeBytes: 0, examples: [] },
    });
  });

  it.each([0, 3 * MEBIBYTE + 1, 4 * MEBIBYTE - 1])(
    'finds a byte flipped at %d, and an upload of the content heals it',
    async (position) => {
      const whole = await aFile();
      const file = await aFile(randomBytes(4 * MEBIBYTE));
      await flipByte(file, position);

      const report = await verify();
      expect(report.ok).toBe(false);
      expect(report.findings).toEqual([
        {
          kind: 'content',
          fileId: file.id,
          sha256: file.sha256,
          path: path.relative(root, file.path),
          expected: file.sha256,
          actual: expect.stringMatching(/^[0-9a-f]{64}$/),
        },
      ]);
      expect([await isDamaged(file), await isDamaged(whole)]).toEqual([true, false]);
      expect(kindsOf(await verify())).toEqual([['content', file.id]]);

      const healed = await storage.upload(file.bytes, user);
      expect(healed.fileId).toBe(file.id);
      expect(await isDamaged(file)).toBe(false);
      expect(await readBack(dataSource, backend, file.id)).toBe(file.sha256);
      expect(await verify()).toMatchObject({ ok: true, recovered: 0 });
    },
  );

  it('finds bytes that are missing, cut off or too many, without reading any', async () => {
    const [missing, short, long] = [await aFile(), await aFile(), await aFile()];
    await unlink(missing.path);
    await truncate(short.path, 999);
    await writeFile(long.path, Buffer.concat([long.bytes, Buffer.from('more')]));

    const report = await verify(false);
    expect(report).toMatchObject({
      ok: false,
      bytesHashed: 0,
      findingCounts: { missing: 1, size: 2 },
    });
    const byFile = new Map(report.findings.map((finding) => [fileOf(finding), finding]));
    expect(byFile.get(missing.id)).toMatchObject({ kind: 'missing', actual: 'nothing' });
    expect(byFile.get(short.id)).toMatchObject({ kind: 'size', expected: '1000', actual: '999' });
    expect(byFile.get(long.id)).toMatchObject({ kind: 'size', expected: '1000', actual: '1004' });
    for (const file of [missing, short, long]) {
      expect(await isDamaged(file)).toBe(true);
      await storage.upload(file.bytes, user);
    }
    expect((await verify()).ok).toBe(true);
  });

  it('takes the mark back from a file that is whole again, once its bytes have been read', async () => {
    const file = await aFile();
    await flipByte(file, 5);
    await verify();
    await writeFile(file.path, file.bytes);
    expect(await verify(false)).toMatchObject({ ok: true, recovered: 0 });
    expect(await isDamaged(file)).toBe(true);
    expect(await verify()).toMatchObject({ ok: true, recovered: 1 });
    expect(await isDamaged(file)).toBe(false);
  });

  it('reports bytes that cannot be read now, and marks nothing for it', async () => {
    const file = await aFile();
    backend.onRead = () => {
      throw new Error('EIO');
    };
    expect(kindsOf(await verify())).toEqual([['unreadable', file.id]]);
    expect(await isDamaged(file)).toBe(false);
  });

  it('finds counts that are not what a recount gives', async () => {
    const [tooMany, tooFew] = [await aFile(), await aFile()];
    await aFile();
    await dataSource.query('UPDATE files SET reference_count = 3 WHERE id = $1', [tooMany.id]);
    await dataSource.query(
      'UPDATE files SET reference_count = 0, unreferenced_since = now() WHERE id = $1',
      [tooFew.id],
    );
    const { ok, findings } = await verify();
    expect(ok).toBe(false);
    expect(findings).toMatchObject([
      { kind: 'reference-count', fileId: tooMany.id, expected: '1', actual: '3' },
      { kind: 'reference-count', fileId: tooFew.id, expected: '1', actual: '0' },
    ]);
  });

  it('counts all findings and tells the first thousand', async () => {
    await dataSource.query(
      `INSERT INTO files (storage_type, mime_type, file_path, file_size, content_hash)
       SELECT 'local', 'a/b', 'artifacts/' || n, 0, lpad(n::text, 64, '0')
       FROM generate_series(1, 1500) n`,
    );
    const report = await verify();
    expect(report.findingCounts).toEqual({ missing: 1500 });
    expect(report.findings.length).toBe(1000);
  });

  it('tells of objects that no row names, which is no fault', async () => {
    await aFile();
    for (let i = 0; i < 1050; i++) await writeFile(path.join(root, `staging/upload-${i}`), 'abc');
    const { ok, orphans } = await verify();
    expect(ok).toBe(true);
    expect([orphans.objects, orphans.sizeBytes, orphans.examples.length]).toEqual([
      1050, 3150, 100,
    ]);
  });

  it('stops when it is told to', async () => {
    const stop = new AbortController();
    await aFile(randomBytes(3 * MEBIBYTE));
    backend.onRead = () => stop.abort();
    await expect(verify(true, stop.signal)).rejects.toThrow(/abort/i);
  });
});

describe('a verification beside a running server', () => {
  it('does not mark a file that was healed while its damaged bytes were being read', async () => {
    const file = await aFile(randomBytes(2 * MEBIBYTE));
    await flipByte(file, 7);
    await verify();
    let healed = false;
    backend.onRead = async (_, position) => {
      if (healed || position === 0) return;
      healed = true;
      await storage.upload(file.bytes, user);
    };
    expect(await verify()).toMatchObject({ ok: true, findings: [] });
    expect([healed, await isDamaged(file)]).toEqual([true, false]);
  });

  it('is silent about a file that was collected while it was being read', async () => {
    const file = await aFile(randomBytes(2 * MEBIBYTE));
    await flipByte(file, 7);
    backend.onRead = async () => {
      await dataSource.query('DELETE FROM upload_holds');
      await dataSource.query('DELETE FROM files');
    };
    expect(await verify()).toMatchObject({ ok: true, findings: [] });
  });

  it('reports a file that changes whenever it is looked at', async () => {
    const file = await aFile();
    let seconds = 0;
    await flipByte(file, 7);
    backend.onRead = async () => utimes(file.path, ++seconds, seconds);
    const { findings } = await verify();
    expect(findings).toMatchObject([{ kind: 'unreadable', actual: 'changes all the time' }]);
  });

  it('finds nothing wrong while files come, are released and are collected', async () => {
    let busy = true;
    const traffic = Promise.all(
      [1, 2].map(async () => {
        while (busy) {
          const { id } = await aFile(randomBytes(5000));
          await storage.release(id, user);
          await storage.run();
        }
      }),
    );
    try {
      for (let i = 0; i < 20; i++) expect((await verify()).findings).toEqual([]);
    } finally {
      busy = false;
    }
    await traffic;
  });
});

describe('the references that the schema tells of', () => {
  it('are those that keep files from being deleted', async () => {
    expect((await referencesBySchema(verified)).map(({ name }) => name)).toEqual([
      'dataset_purges.notice_file_id',
      'dataset_removals.record_file_id',
      'dataset_version_files.file_id',
      'dataset_versions.overlay_file_id',
      'evaluations.result_file_id',
      'upload_holds.file_id',
    ]);
  });

  it('take in what a later migration adds', async () => {
    await dataSource.query(
      `CREATE TABLE thumbnails (of integer REFERENCES files,
         cached integer REFERENCES files ON DELETE CASCADE)`,
    );
    try {
      const names = (await referencesBySchema(verified)).map(({ name }) => name);
      expect(names).toContain('thumbnails.of');
      expect(names).not.toContain('thumbnails.cached');
      const file = await aFile();
      await dataSource.query('INSERT INTO thumbnails VALUES ($1, $1)', [file.id]);
      expect((await verify()).findings).toMatchObject([
        { kind: 'reference-count', expected: '2', actual: '1' },
      ]);
    } finally {
      await dataSource.query('DROP TABLE thumbnails');
    }
  });
});
