import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DataSource } from 'typeorm';
import {
  aUser,
  expectLawful,
  FaultyBackend,
  keysUnder,
  storageOn,
} from '../../../test/builders/storage.js';
import { eventually } from '../../../test/builders/eventually.js';
import { testDatabase, type TestDatabase } from '../../../test/database/test-database.js';
import {
  DigestMismatch,
  LengthMismatch,
  StorageFull,
  UploadAborted,
  type Artifact,
} from '../../core/contracts/artifact-producer.js';
import type { FileId, Sha256, UserId } from '../../core/ids.js';
import type { Principal } from '../../core/principal.js';
import { LocalBackend } from '../backend/local/local.backend.js';

const MEBIBYTE = 1024 * 1024;
const digestOf = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex') as Sha256;

/** The bytes in pieces of odd sizes, as a network delivers them. */
function inPieces(bytes: Buffer, pieceBytes = 65_536): Readable {
  return Readable.from(
    (function* () {
      for (let at = 0; at < bytes.length; at += pieceBytes) {
        yield bytes.subarray(at, at + pieceBytes);
      }
    })(),
    { objectMode: false },
  );
}

let database: TestDatabase;
let dataSource: DataSource;
let root: string;
let backend: FaultyBackend;
let storage: ReturnType<typeof storageOn>;
let user: Principal;

beforeAll(async () => {
  Logger.overrideLogger(false);
  database = await testDatabase();
  dataSource = await database.open();
});

afterAll(() => database.drop());

beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'varve-producer-'));
  backend = new FaultyBackend(await LocalBackend.open(root));
  storage = storageOn(dataSource, backend);
  user = await aUser(dataSource);
});

afterEach(async () => {
  backend.faults = {};
  await expectLawful(dataSource, backend);
  await storage.producer.onApplicationShutdown();
  await dataSource.query('TRUNCATE files, upload_holds, events CASCADE');
  await rm(root, { recursive: true });
});

function create(
  bytes: Buffer,
  options: { stream?: Readable; holder?: UserId | null; sha256?: Sha256; sizeBytes?: number } = {},
): Promise<Artifact> {
  return storage.producer.createArtifact(
    {
      stream: options.stream ?? inPieces(bytes),
      expectedSha256: options.sha256 ?? null,
      expectedBytes: options.sizeBytes ?? null,
    },
    { holder: options.holder === undefined ? user.userId : options.holder },
  );
}

async function contentOf(artifact: Artifact): Promise<Buffer> {
  return buffer(await storage.catalog.open(artifact.fileId));
}

async function rowOf(artifact: Artifact) {
  const [row] = await dataSource.query<
    { reference_count: string; unreferenced_since: Date | null; damaged_at: Date | null }[]
  >('SELECT * FROM files WHERE id = $1', [artifact.fileId]);
  return row!;
}

const countRows = async () =>
  Number((await dataSource.query<{ count: string }[]>('SELECT count(*) FROM files'))[0]!.count);

describe('staging and registering', () => {
  it.each([
    ['nothing', 0],
    ['one byte', 1],
    ['as much as is hashed here', MEBIBYTE / 4],
    ['a byte more', MEBIBYTE / 4 + 1],
    ['one batch', MEBIBYTE],
    ['one batch and a byte', MEBIBYTE + 1],
    ['many batches', 37 * MEBIBYTE + 12_345],
  ])('stores %s whole', async (_, size) => {
    const bytes = randomBytes(size);
    const artifact = await create(bytes, { sha256: digestOf(bytes), sizeBytes: size });
    expect(artifact).toMatchObject({
      sha256: digestOf(bytes),
      sizeBytes: size,
      deduplicated: false,
    });
    expect((await contentOf(artifact)).equals(bytes)).toBe(true);
    expect(await keysUnder(backend, 'artifacts/')).toHaveLength(1);
  });

  it('takes pieces of any size, and text', async () => {
    const bytes = randomBytes(3 * MEBIBYTE);
    for (const pieceBytes of [7_777, MEBIBYTE - 1, 3 * MEBIBYTE]) {
      const artifact = await create(bytes, { stream: inPieces(bytes, pieceBytes) });
      expect(artifact.sha256).toBe(digestOf(bytes));
    }
    const text = await create(Buffer.alloc(0), { stream: Readable.from(['grün', 'blau']) });
    expect((await contentOf(text)).toString()).toBe('grünblau');
  });

  it('keeps what the server itself says of a content, and what a user says with the hold', async () => {
    const input = (text: string) => ({
      stream: Readable.from([text]),
      fileType: 'json',
      mimeType: 'application/json',
      compressionType: 'gzip',
      metadata: { name: text },
    });
    const own = await storage.producer.createArtifact(input('own'), { holder: null });
    const theirs = await storage.producer.createArtifact(input('theirs'), { holder: user.userId });
    const found = await storage.unitOfWork.read((tx) =>
      storage.catalog.find(tx, [own.fileId, theirs.fileId]),
    );
    expect(found.get(own.fileId)).toMatchObject({
      fileType: 'json',
      mimeType: 'application/json',
      compressionType: 'gzip',
      metadata: { name: 'own' },
    });
    expect(found.get(theirs.fileId)?.metadata).toEqual({});
    const [hold] = await dataSource.query<object[]>('SELECT * FROM upload_holds');
    expect(hold).toMatchObject({ file_id: theirs.fileId, metadata: { name: 'theirs' } });
  });

  it('keeps memory flat, however slow the disk', async () => {
    let underWay = 0;
    let most = 0;
    backend.faults.write = async () => {
      most = Math.max(most, ++underWay);
      await sleep(5);
      underWay--;
    };
    const bytes = randomBytes(40 * MEBIBYTE);
    await create(bytes, { sha256: digestOf(bytes) });
    expect(most).toBeGreaterThan(1);
    expect(most).toBeLessThanOrEqual(8);
  });

  it('counts what came in and what was there already', async () => {
    const bytes = randomBytes(100);
    await create(bytes);
    await create(bytes);
    const text = await storage.metrics.registry.metrics();
    expect(text).toContain('varve_upload_bytes_total 200');
    expect(text).toContain('varve_dedup_hits_total 1');
    expect(text).toContain('varve_dedup_bytes_total 100');
  });
});

describe('content that is there already', () => {
  it('is stored once, and answered with the same id', async () => {
    const bytes = randomBytes(2 * MEBIBYTE);
    const first = await create(bytes);
    const second = await create(bytes);
    expect(second).toEqual({ ...first, deduplicated: true });
    expect(await keysUnder(backend, '')).toHaveLength(1);
    const events = await dataSource.query<{ type: string }[]>(
      'SELECT type FROM events ORDER BY position',
    );
    expect(events.map(({ type }) => type)).toEqual(['file.uploaded', 'file.deduplicated']);
  });

  it('gets one reference for each uploader, and no more for uploading again', async () => {
    const bytes = randomBytes(10);
    const first = await create(bytes);
    await create(bytes);
    expect(await rowOf(first)).toMatchObject({ reference_count: '1', unreferenced_since: null });
    await create(bytes, { holder: (await aUser(dataSource)).userId });
    expect(await rowOf(first)).toMatchObject({ reference_count: '2', unreferenced_since: null });
  });

  it('has its hold prolonged by uploading again, never shortened', async () => {
    const bytes = randomBytes(10);
    await create(bytes);
    const far = new Date(Date.now() + 1e9);
    const expiry = async () =>
      (await dataSource.query<{ expires_at: Date }[]>('SELECT expires_at FROM upload_holds'))[0]!
        .expires_at;
    await dataSource.query('UPDATE upload_holds SET expires_at = $1', [far]);
    await create(bytes);
    expect(await expiry()).toEqual(far);
    await dataSource.query('UPDATE upload_holds SET expires_at = now()');
    const before = await expiry();
    await create(bytes);
    expect((await expiry()).getTime()).toBeGreaterThan(before.getTime());
  });

  it('gets its grace anew where nothing references it', async () => {
    const bytes = randomBytes(10);
    const artifact = await create(bytes, { holder: null });
    await dataSource.query(`UPDATE files SET unreferenced_since = '2000-01-01'`);
    await create(bytes, { holder: null });
    const { unreferenced_since: since } = await rowOf(artifact);
    expect(since!.getFullYear()).toBeGreaterThan(2000);
  });

  it('is healed where it was marked as damaged', async () => {
    const bytes = randomBytes(10);
    const artifact = await create(bytes);
    const key = (await keysUnder(backend, 'artifacts/'))[0]!;
    await rm(path.join(root, key));
    await dataSource.query('UPDATE files SET damaged_at = now()');
    expect(await create(bytes)).toEqual({ ...artifact, deduplicated: true });
    expect((await rowOf(artifact)).damaged_at).toBeNull();
    expect(await contentOf(artifact)).toEqual(bytes);
  });

  it('is healed where its bytes turn out to be gone, though nobody had noticed', async () => {
    const bytes = randomBytes(10);
    const artifact = await create(bytes);
    await rm(path.join(root, (await keysUnder(backend, 'artifacts/'))[0]!));
    await create(bytes);
    expect(await contentOf(artifact)).toEqual(bytes);
  });

  it('is stored once by 100 uploads at once from two processes', async () => {
    const other = storageOn(await database.open(), await LocalBackend.open(root));
    const bytes = randomBytes(300_000);
    const users = await Promise.all(Array.from({ length: 10 }, () => aUser(dataSource)));
    const artifacts = await Promise.all(
      Array.from({ length: 100 }, (_, index) =>
        (index % 2 === 0 ? storage : other).producer.createArtifact(
          { stream: inPieces(bytes) },
          { holder: users[index % users.length]!.userId },
        ),
      ),
    );
    expect(new Set(artifacts.map(({ fileId }) => fileId)).size).toBe(1);
    expect(artifacts.filter(({ deduplicated }) => !deduplicated)).toHaveLength(1);
    expect(await keysUnder(backend, 'artifacts/')).toHaveLength(1);
    expect(await rowOf(artifacts[0]!)).toMatchObject({ reference_count: '10' });
    const events = await dataSource.query<{ type: string; count: string }[]>(
      'SELECT type, count(*) FROM events GROUP BY type ORDER BY type',
    );
    expect(events).toEqual([
      { type: 'file.deduplicated', count: '99' },
      { type: 'file.uploaded', count: '1' },
    ]);
    await other.producer.onApplicationShutdown();
  });

  it('never makes uploads wait for each other in a circle', async () => {
    const other = storageOn(await database.open(), await LocalBackend.open(root));
    const contents = Array.from({ length: 12 }, () => randomBytes(10));
    const shuffled = () => contents.toSorted(() => Math.random() - 0.5);
    await Promise.all(
      Array.from({ length: 40 }, async (_, index) => {
        const { producer, unitOfWork, catalog } = index % 2 === 0 ? storage : other;
        const staged = await Promise.all(
          shuffled().map((bytes) => producer.stage({ stream: Readable.from([bytes]) })),
        );
        const ids = await unitOfWork.run(async (tx) =>
          (await producer.register(tx, staged, { holder: null })).map(({ fileId }) => fileId),
        );
        await unitOfWork.run((tx) => catalog.addReferences(tx, ids));
        await unitOfWork.run((tx) => catalog.releaseReferences(tx, ids.toReversed()));
      }),
    );
    expect(await countRows()).toBe(12);
    await other.producer.onApplicationShutdown();
  });
});

describe('what is wrong with an upload', () => {
  it.each([
    ['small', 1000],
    ['large', 3 * MEBIBYTE],
  ])('refuses a %s one whose digest is not the promised one', async (_, size) => {
    const bytes = randomBytes(size);
    const refused = create(bytes, { sha256: digestOf(Buffer.from('other')) });
    await expect(refused).rejects.toThrow(DigestMismatch);
    expect(await keysUnder(backend, '')).toEqual([]);
  });

  it.each([
    ['small, fewer', 1000, 1001],
    ['small, more', 1000, 999],
    ['large, fewer', 3 * MEBIBYTE, 3 * MEBIBYTE + 1],
    ['large, more', 3 * MEBIBYTE, 3 * MEBIBYTE - 1],
    ['large, far more', 9 * MEBIBYTE, MEBIBYTE],
  ])('refuses a length that lies: %s', async (_, size, sizeBytes) => {
    await expect(create(randomBytes(size), { sizeBytes })).rejects.toThrow(LengthMismatch);
    expect(await keysUnder(backend, '')).toEqual([]);
  });

  it.each([0.1, 0.5, 0.99])('leaves nothing of one that breaks off at %d', async (part) => {
    const bytes = randomBytes(5 * MEBIBYTE);
    const stream = new Readable({ read() {} });
    const created = create(bytes, { stream });
    stream.push(bytes.subarray(0, bytes.length * part));
    await sleep(20);
    stream.destroy();
    await expect(created).rejects.toThrow(UploadAborted);
    expect(await keysUnder(backend, '')).toEqual([]);
  });

  it('says what the stream says when that fails', async () => {
    const stream = new Readable({ read() {} });
    const created = create(Buffer.alloc(0), { stream });
    stream.destroy(new Error('the source is broken'));
    await expect(created).rejects.toThrow('the source is broken');
  });

  it('ends a stream that it cannot take, unless it is to stay open', async () => {
    const bytes = randomBytes(MEBIBYTE);
    for (const leaveOpen of [false, true]) {
      const stream = new Readable({ read() {} });
      stream.push(bytes);
      const staged = storage.producer.stage({ stream, expectedBytes: 10, leaveOpen });
      await expect(staged).rejects.toThrow(LengthMismatch);
      expect(stream.destroyed).toBe(!leaveOpen);
    }
  });
});

describe('faults', () => {
  const noSpace = () => {
    throw Object.assign(new StorageFull(), {});
  };

  it('leaves nothing when staging cannot be opened', async () => {
    backend.faults.openStaging = noSpace;
    await expect(create(randomBytes(2 * MEBIBYTE))).rejects.toThrow(StorageFull);
    expect(await keysUnder(backend, '')).toEqual([]);
  });

  it.each([1, 2, 20])('leaves nothing when write %i fails', async (batch) => {
    backend.faults.write = (number) => {
      if (number === batch) throw new StorageFull();
    };
    await expect(create(randomBytes(25 * MEBIBYTE))).rejects.toThrow(StorageFull);
    expect(await keysUnder(backend, '')).toEqual([]);
    expect(await countRows()).toBe(0);
  });

  it('leaves nothing when the sync fails', async () => {
    backend.faults.finish = () => {
      throw new Error('EIO');
    };
    for (const size of [10, 2 * MEBIBYTE]) {
      await expect(create(randomBytes(size))).rejects.toThrow('EIO');
    }
    expect(await keysUnder(backend, '')).toEqual([]);
    expect(await countRows()).toBe(0);
  });

  it('leaves no row when the rename fails', async () => {
    backend.faults.finalize = (_, step) => {
      if (step === 'before') throw new StorageFull();
    };
    await expect(create(randomBytes(10))).rejects.toThrow(StorageFull);
    expect(await countRows()).toBe(0);
    await eventually(async () => expect(await keysUnder(backend, '')).toEqual([]));
  });

  it('leaves only bytes that the collector takes when the rename was not known to be durable', async () => {
    const bytes = randomBytes(10);
    backend.faults.finalize = (_, step) => {
      if (step === 'after') throw new Error('EIO');
    };
    await expect(create(bytes)).rejects.toThrow('EIO');
    expect(await countRows()).toBe(0);
    backend.faults = {};
    expect((await create(bytes)).deduplicated).toBe(false);
  });

  it('does not let one content that cannot be made final fail the others', async () => {
    const contents = Array.from({ length: 30 }, () => randomBytes(100));
    const poisoned = digestOf(contents[13]!);
    backend.faults.finalize = (sha256, step) => {
      if (sha256 === poisoned && step === 'before') throw new StorageFull();
    };
    const outcomes = await Promise.allSettled(contents.map((bytes) => create(bytes)));
    expect(outcomes.map(({ status }) => status)).toEqual(
      contents.map((_, index) => (index === 13 ? 'rejected' : 'fulfilled')),
    );
    expect(await countRows()).toBe(29);
  });

  it('does not let one registration that the database refuses fail the others', async () => {
    const nobody = 2_000_000_000 as UserId;
    const outcomes = await Promise.allSettled(
      Array.from({ length: 30 }, (_, index) =>
        create(randomBytes(100), { holder: index === 7 ? nobody : user.userId }),
      ),
    );
    expect(outcomes.map(({ status }) => status)).toEqual(
      outcomes.map((_, index) => (index === 7 ? 'rejected' : 'fulfilled')),
    );
    expect(await countRows()).toBe(29);
  });

  it('still does not answer for damaged content that cannot be healed', async () => {
    const bytes = randomBytes(10);
    const artifact = await create(bytes);
    await dataSource.query('UPDATE files SET damaged_at = now()');
    backend.faults.finalize = noSpace;
    await expect(create(bytes)).rejects.toThrow(StorageFull);
    expect((await rowOf(artifact)).damaged_at).not.toBeNull();
  });

  it('does not answer for content that it cannot look at', async () => {
    const bytes = randomBytes(10);
    await create(bytes);
    backend.faults.info = () => {
      throw new Error('EIO');
    };
    await expect(create(bytes)).rejects.toThrow('EIO');
  });

  it('answers even where what is left over cannot be dropped', async () => {
    const bytes = randomBytes(10);
    await create(bytes);
    backend.faults.discard = () => {
      throw new Error('EIO');
    };
    expect((await create(bytes)).deduplicated).toBe(true);
    const left = await eventually(async () => {
      const keys = await keysUnder(backend, 'staging/');
      expect(keys).toHaveLength(1);
      return keys;
    });
    backend.faults = {};
    await backend.discard(left[0]!);
  });

  describe('at the commit', () => {
    beforeEach(async () => {
      await dataSource.query(`
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
          IF NEW.mime_type = 'fault/commit' THEN RAISE 'refused at commit'; END IF;
          RETURN NULL;
        END $$;
        CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON files DEFERRABLE INITIALLY DEFERRED
          FOR EACH ROW EXECUTE FUNCTION refuse();`);
    });

    afterEach(() => dataSource.query('DROP TRIGGER refuse ON files; DROP FUNCTION refuse()'));

    it('leaves no row, and bytes only for the collector', async () => {
      const bytes = randomBytes(10);
      const created = storage.producer.createArtifact(
        { stream: Readable.from([bytes]), mimeType: 'fault/commit' },
        { holder: user.userId },
      );
      await expect(created).rejects.toThrow('refused at commit');
      expect(await countRows()).toBe(0);
      expect(await keysUnder(backend, 'artifacts/')).toHaveLength(1);
      expect((await create(bytes)).deduplicated).toBe(false);
    });

    it("stores the loser's copy where the winner of a race rolls back", async () => {
      const other = storageOn(await database.open(), await LocalBackend.open(root));
      const bytes = randomBytes(10);
      const [winners, losers] = await Promise.all([
        storage.producer.stage({ stream: Readable.from([bytes]) }),
        other.producer.stage({ stream: Readable.from([bytes]) }),
      ]);
      const held = Promise.withResolvers<void>();
      const registered = Promise.withResolvers<void>();
      const winner = storage.unitOfWork.run(async (tx) => {
        await storage.producer.register(tx, [winners], { holder: user.userId });
        registered.resolve();
        await held.promise;
        throw new Error('the winner gives up');
      });
      await registered.promise;
      let isLoserDone = false;
      const loser = other.unitOfWork
        .run((tx) => other.producer.register(tx, [losers], { holder: user.userId }))
        .finally(() => (isLoserDone = true));
      await eventually(async () => {
        const waiting = await dataSource.query<object[]>(
          `SELECT 1 FROM pg_stat_activity WHERE datname = current_database()
             AND wait_event_type = 'Lock' AND query LIKE '%INSERT INTO files%'`,
        );
        expect(waiting).toHaveLength(1);
      });
      expect(isLoserDone).toBe(false);
      held.resolve();
      await expect(winner).rejects.toThrow('the winner gives up');
      const [artifact] = await loser;
      expect(artifact).toMatchObject({ deduplicated: false });
      expect(await contentOf(artifact!)).toEqual(bytes);
      await other.producer.onApplicationShutdown();
    });
  });
});

describe("registering in the caller's transaction", () => {
  const stageSome = (count: number) =>
    Promise.all(
      Array.from({ length: count }, () =>
        storage.producer.stage({ stream: Readable.from([randomBytes(50)]) }),
      ),
    );

  it('commits and rolls back with it, and drops what is not stored', async () => {
    const staged = await stageSome(3);
    const failed = storage.unitOfWork.run(async (tx) => {
      await storage.producer.register(tx, staged, { holder: user.userId });
      throw new Error('changed my mind');
    });
    await expect(failed).rejects.toThrow('changed my mind');
    expect(await countRows()).toBe(0);

    const more = await stageSome(3);
    const artifacts = await storage.unitOfWork.run((tx) =>
      storage.producer.register(tx, more, { holder: user.userId }),
    );
    expect(artifacts.map(({ sha256 }) => sha256)).toEqual(more.map(({ sha256 }) => sha256));
    expect(await countRows()).toBe(3);
  });

  it('is joined by whoever creates an artifact inside of one', async () => {
    const bytes = randomBytes(10);
    const failed = storage.unitOfWork.run(async () => {
      await create(bytes);
      throw new Error('changed my mind');
    });
    await expect(failed).rejects.toThrow('changed my mind');
    expect(await countRows()).toBe(0);
    const artifact = await storage.unitOfWork.run(() => create(bytes));
    expect(await contentOf(artifact)).toEqual(bytes);
  });

  it('fails as a whole where one content cannot be made final', async () => {
    const staged = await stageSome(3);
    backend.faults.finalize = (sha256) => {
      if (sha256 === staged[1]!.sha256) throw new StorageFull();
    };
    const failed = storage.unitOfWork.run((tx) =>
      storage.producer.register(tx, staged, { holder: null }),
    );
    await expect(failed).rejects.toThrow(StorageFull);
    expect(await countRows()).toBe(0);
  });

  it('registers the same content twice in one go as one', async () => {
    const bytes = randomBytes(10);
    const staged = await Promise.all(
      [1, 2].map(() => storage.producer.stage({ stream: Readable.from([bytes]) })),
    );
    const [one, other] = await storage.unitOfWork.run((tx) =>
      storage.producer.register(tx, staged, { holder: user.userId }),
    );
    expect([one?.deduplicated, other?.deduplicated]).toEqual([false, true]);
    expect(one?.fileId).toBe(other?.fileId);
    expect(await rowOf(one!)).toMatchObject({ reference_count: '1' });
  });

  it('stages many at once, and counts the reference of whoever asks it to', async () => {
    const contents = Array.from({ length: 60 }, () => randomBytes(50));
    const register = async (isReferredTo: boolean) => {
      const staged = await storage.producer.stageAll(contents.map((content) => ({ content })));
      expect(staged.map(({ sha256 }) => sha256)).toEqual(contents.map(digestOf));
      return storage.unitOfWork.run((tx) =>
        storage.producer.register(tx, staged, { holder: null, isReferredTo }),
      );
    };
    const first = await register(true);
    expect(await rowOf(first[7]!)).toMatchObject({
      reference_count: '1',
      unreferenced_since: null,
    });
    expect((await register(true)).map(({ fileId }) => fileId)).toEqual(
      first.map(({ fileId }) => fileId),
    );
    await register(false);
    expect(await rowOf(first[7]!)).toMatchObject({ reference_count: '2' });
    await eventually(async () =>
      (await keysUnder(backend, 'staging/')).length === 0 ? true : null,
    );
    // Nothing refers to them in truth: the laws would miss it.
    await dataSource.query('UPDATE files SET reference_count = 0, unreferenced_since = now()');
  });

  it.each([
    ['tells of contents that somebody brought', false, ['file.uploaded']],
    ['tells nobody of the server’s own notes', true, []],
  ])('%s', async (_, isInternal, expected) => {
    const staged = await storage.producer.stageAll([{ content: randomBytes(5) }]);
    const [registered] = await storage.unitOfWork.run((tx) =>
      storage.producer.register(tx, staged, { holder: null, isInternal }),
    );
    const told = await dataSource.query<{ type: string }[]>(
      `SELECT type FROM events WHERE (data->>'fileId')::integer = $1`,
      [registered?.fileId],
    );
    expect(told.map(({ type }) => type)).toEqual(expected);
    // The laws would miss the event of what is nobody's.
    await dataSource.query('TRUNCATE files, events CASCADE');
  });

  it('counts a hold or a reference, not both', async () => {
    const staged = await storage.producer.stageAll([{ content: randomBytes(5) }]);
    await expect(
      storage.unitOfWork.run((tx) =>
        storage.producer.register(tx, staged, { holder: user.userId, isReferredTo: true }),
      ),
    ).rejects.toThrow('hold');
    await storage.producer.discard(staged);
  });

  it('takes nothing at all', async () => {
    expect(
      await storage.unitOfWork.run((tx) => storage.producer.register(tx, [], { holder: null })),
    ).toEqual([]);
  });

  it('refuses what was dropped or registered before, and drops nothing of the latter', async () => {
    const [dropped, registered] = await stageSome(2);
    await storage.producer.discard([dropped!]);
    await storage.unitOfWork.run((tx) =>
      storage.producer.register(tx, [registered!], { holder: user.userId }),
    );
    await storage.producer.discard([registered!, dropped!]);
    for (const staged of [dropped!, registered!]) {
      const again = storage.unitOfWork.run((tx) =>
        storage.producer.register(tx, [staged], { holder: null }),
      );
      await expect(again).rejects.toThrow('already');
    }
  });
});

describe('the catalogue', () => {
  it('finds by id and by digest, and leaves out what is not there', async () => {
    const [one, other] = [await create(randomBytes(1)), await create(randomBytes(2))];
    const missing = 2_000_000_000 as FileId;
    const [byId, byDigest] = await storage.unitOfWork.read(async (tx) => [
      await storage.catalog.find(tx, [one.fileId, other.fileId, missing]),
      await storage.catalog.findByDigest(tx, [other.sha256, digestOf(Buffer.from('none'))]),
    ]);
    expect([...byId.keys()].sort()).toEqual([one.fileId, other.fileId].sort());
    expect([...byDigest.values()]).toEqual([byId.get(other.fileId)]);
    expect(byId.get(one.fileId)).toMatchObject({ sizeBytes: 1, sha256: one.sha256 });
  });

  it('counts references, and knows since when there is none', async () => {
    const { fileId } = await create(randomBytes(3), { holder: null });
    const counted = async () => {
      const { reference_count: count, unreferenced_since: since } = await rowOf({
        fileId,
      } as Artifact);
      return [count, since === null];
    };
    const change = (verb: 'addReferences' | 'releaseReferences', ids: FileId[]) =>
      storage.unitOfWork.run((tx) => storage.catalog[verb](tx, ids));
    await change('addReferences', [fileId, fileId]);
    expect(await counted()).toEqual(['2', true]);
    await change('releaseReferences', [fileId]);
    expect(await counted()).toEqual(['1', true]);
    await change('releaseReferences', [fileId]);
    expect(await counted()).toEqual(['0', false]);
    await expect(change('releaseReferences', [fileId])).rejects.toThrow('reference_count');
    await change('addReferences', []);
    const missing = 2_000_000_000 as FileId;
    await expect(change('addReferences', [fileId, missing])).rejects.toMatchObject({
      members: { fileIds: [missing] },
    });
    expect(await counted()).toEqual(['0', false]);
  });

  it('reads a range, and says so where the bytes or the file are gone', async () => {
    const bytes = randomBytes(100);
    const artifact = await create(bytes);
    const { catalog } = storage;
    const range = await buffer(await catalog.open(artifact.fileId, { start: 10, end: 20 }));
    expect(range).toEqual(bytes.subarray(10, 20));
    await expect(catalog.open(2_000_000_000 as FileId)).rejects.toMatchObject({
      name: 'FileMissing',
    });
    await rm(path.join(root, (await keysUnder(backend, 'artifacts/'))[0]!));
    await expect(catalog.open(artifact.fileId)).rejects.toMatchObject({ name: 'FileDamaged' });
    await dataSource.query('UPDATE files SET damaged_at = now()');
    await expect(catalog.open(artifact.fileId)).rejects.toMatchObject({ name: 'FileDamaged' });
    await create(bytes);
  });
});
