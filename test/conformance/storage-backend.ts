import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createHash, randomBytes } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import {
  ObjectMissing,
  type ObjectInfo,
  type StagedObject,
  type StorageBackend,
} from '../../src/core/contracts/storage-backend.js';

/** A backend to be tried, empty, and how to take it away again. */
export interface BackendUnderTest {
  readonly backend: StorageBackend;
  /** The same storage, opened once more, as another process would. */
  reopen(): Promise<StorageBackend>;
  dispose(): Promise<void>;
}

const MEBIBYTE = 1024 * 1024;

/** Keys with which somebody might try to get out of the storage, or at what is not an object. */
const HOSTILE_KEYS = [
  '',
  '.',
  '..',
  '/',
  '/etc/passwd',
  '../outside',
  'artifacts/../../outside',
  'artifacts/..',
  'artifacts/./x',
  'artifacts//x',
  'artifacts/',
  'staging/../artifacts/x',
  'staging\\..\\x',
  'artifacts/x\0',
  'artifacts/a\nb',
  'C:/x',
  'artifacts/%2e%2e/x',
  `artifacts/${'x'.repeat(5000)}`,
  '__proto__',
];

function digestOf(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

async function stage(backend: StorageBackend, ...batches: Buffer[]): Promise<StagedObject> {
  const sink = await backend.openStaging();
  for (const batch of batches) await sink.write(batch);
  return sink.finish();
}

async function store(backend: StorageBackend, bytes: Buffer): Promise<string> {
  return backend.finalize(await stage(backend, bytes), digestOf(bytes));
}

async function collect(objects: AsyncIterable<ObjectInfo>): Promise<ObjectInfo[]> {
  const all: ObjectInfo[] = [];
  for await (const object of objects) all.push(object);
  return all;
}

/** What every storage backend promises. `make` gives one that is empty. */
export function describeStorageBackend(name: string, make: () => Promise<BackendUnderTest>): void {
  describe(`${name}: the contract of a storage backend`, () => {
    let underTest: BackendUnderTest;
    let backend: StorageBackend;

    beforeEach(async () => {
      underTest = await make();
      backend = underTest.backend;
    });

    afterEach(() => underTest.dispose());

    describe('staging', () => {
      it('keeps the batches in their order, also where several are under way', async () => {
        const batches = Array.from({ length: 40 }, (_, index) => Buffer.alloc(100_003, index));
        const sink = await backend.openStaging();
        await Promise.all(batches.map((batch) => sink.write(batch)));
        const staged = await sink.finish();
        expect(staged.sizeBytes).toBe(40 * 100_003);
        const whole = Buffer.concat(batches);
        const key = await backend.finalize(staged, digestOf(whole));
        expect(digestOf(await buffer(await backend.open(key)))).toBe(digestOf(whole));
      });

      it('lets a buffer be used again once its write has settled', async () => {
        const one = Buffer.alloc(MEBIBYTE);
        const sink = await backend.openStaging();
        for (let value = 1; value <= 20; value++) await sink.write(one.fill(value));
        const staged = await sink.finish();
        const expected = Buffer.concat(
          Array.from({ length: 20 }, (_, index) => Buffer.alloc(MEBIBYTE, index + 1)),
        );
        const key = await backend.finalize(staged, digestOf(expected));
        expect(digestOf(await buffer(await backend.open(key)))).toBe(digestOf(expected));
      });

      it('takes memory that is shared with another thread', async () => {
        const shared = Buffer.from(new SharedArrayBuffer(MEBIBYTE)).fill(7);
        const key = await backend.finalize(await stage(backend, shared), digestOf(shared));
        expect((await backend.info(key)).sizeBytes).toBe(MEBIBYTE);
      });

      it('stages nothing at all', async () => {
        const empty = Buffer.alloc(0);
        const staged = await stage(backend);
        expect(staged.sizeBytes).toBe(0);
        const key = await backend.finalize(staged, digestOf(empty));
        expect(await buffer(await backend.open(key))).toEqual(empty);
      });

      it.each([3, 200])('stages %s small contents at once, an empty one too', async (count) => {
        const contents = Array.from({ length: count }, (_, index) =>
          index === 0 ? Buffer.alloc(0) : randomBytes(1 + ((index * 37) % 9000)),
        );
        const staged = await backend.stageAll(contents);
        expect(staged.map(({ sizeBytes }) => sizeBytes)).toEqual(
          contents.map(({ length }) => length),
        );
        const keys = await Promise.all(
          staged.map((each, index) => backend.finalize(each, digestOf(contents[index]!))),
        );
        const other = await underTest.reopen();
        for (const [index, key] of keys.entries()) {
          expect(await buffer(await other.open(key))).toEqual(contents[index]);
        }
      });

      it('stages none of no contents', async () => {
        expect(await backend.stageAll([])).toEqual([]);
      });

      it('gives every staging place a key of its own', async () => {
        const staged = await Promise.all(Array.from({ length: 50 }, () => stage(backend)));
        expect(new Set(staged.map(({ stagedKey }) => stagedKey)).size).toBe(50);
      });

      it('leaves nothing after an abort, before or after bytes have come', async () => {
        await (await backend.openStaging()).abort();
        const sink = await backend.openStaging();
        await sink.write(randomBytes(1000));
        void sink.write(randomBytes(MEBIBYTE));
        await sink.abort();
        expect(await collect(backend.list(''))).toEqual([]);
      });

      it('drops what is discarded, and takes it well when nothing is there', async () => {
        const { stagedKey } = await stage(backend, randomBytes(10));
        await backend.discard(stagedKey);
        await backend.discard(stagedKey);
        expect(await backend.exists(stagedKey)).toBe(false);
      });
    });

    describe('making final', () => {
      it('puts the bytes under the key that it names beforehand, and empties staging', async () => {
        const bytes = randomBytes(5000);
        const staged = await stage(backend, bytes);
        const sha256 = digestOf(bytes);
        const key = backend.finalKey(staged, sha256);
        expect(await backend.exists(staged.stagedKey)).toBe(true);
        expect(await backend.finalize(staged, sha256)).toBe(key);
        expect(await buffer(await backend.open(key))).toEqual(bytes);
        expect((await collect(backend.list(''))).map((object) => object.key)).toEqual([key]);
      });

      it('is seen by whoever opens the storage next', async () => {
        const bytes = randomBytes(100);
        const key = await store(backend, bytes);
        const other = await underTest.reopen();
        expect(await buffer(await other.open(key))).toEqual(bytes);
      });

      it('replaces what lies there, also from many sides at once', async () => {
        const bytes = randomBytes(5000);
        const staged = await Promise.all(Array.from({ length: 20 }, () => stage(backend, bytes)));
        const keys = await Promise.all(staged.map((one) => backend.finalize(one, digestOf(bytes))));
        expect(new Set(keys).size).toBe(1);
        expect(await buffer(await backend.open(keys[0]!))).toEqual(bytes);
        expect(await collect(backend.list(''))).toHaveLength(1);
      });

      it('gives an open reader the bytes it opened, whatever replaces them', async () => {
        const before = randomBytes(3 * MEBIBYTE);
        const key = await store(backend, before);
        const reader = await backend.openReader(key);
        await backend.finalize(await stage(backend, Buffer.alloc(10)), digestOf(before));
        const read = Buffer.alloc(before.length);
        const outcome = await reader.read(read, 0).catch(() => 'refused');
        if (outcome !== 'refused') expect(read.equals(before)).toBe(true);
        await reader.close();
      });

      it('fails where nothing was staged', async () => {
        const gone = await stage(backend, randomBytes(10));
        await backend.discard(gone.stagedKey);
        await expect(backend.finalize(gone, digestOf(Buffer.from('gone')))).rejects.toThrow(
          ObjectMissing,
        );
      });
    });

    describe('records', () => {
      const key = 'records/one/datasets/12/0000000000000007.json';

      it('lie under the key that they are given, are replaced whole, listed and deleted', async () => {
        await backend.finalizeRecord(await stage(backend, Buffer.from('first')), key);
        await backend.finalizeRecord(await stage(backend, Buffer.from('second')), key);
        const other = await underTest.reopen();
        expect((await buffer(await other.open(key))).toString()).toBe('second');
        const content = await store(backend, Buffer.from('a content'));
        for (const prefix of ['records/', 'records/one/', 'records/one/datasets/1']) {
          expect((await collect(backend.list(prefix))).map((each) => each.key)).toEqual([key]);
        }
        expect((await collect(backend.list(''))).map((each) => each.key).sort()).toEqual([
          content,
          key,
        ]);
        expect(await backend.delete(key)).toBe(true);
        expect(await collect(backend.list('records/'))).toEqual([]);
      });

      it('lie nowhere else, and need something staged', async () => {
        const staged = await stage(backend, Buffer.from('a record'));
        for (const elsewhere of ['artifacts/ab', 'staging/x', 'records/../x', 'records', 'x']) {
          await expect((async () => backend.finalizeRecord(staged, elsewhere))()).rejects.toThrow();
        }
        await backend.discard(staged.stagedKey);
        await expect(backend.finalizeRecord(staged, key)).rejects.toThrow(ObjectMissing);
      });
    });

    describe('reading', () => {
      const bytes = randomBytes(2 * MEBIBYTE + 17);
      let key: string;

      beforeEach(async () => {
        key = await store(backend, bytes);
      });

      it.each([
        [0, 0],
        [0, 1],
        [0, bytes.length],
        [17, 18],
        [MEBIBYTE - 1, MEBIBYTE + 1],
        [bytes.length - 1, bytes.length],
        [bytes.length, bytes.length],
        [5, bytes.length + 1000],
      ])('gives bytes [%i, %i)', async (start, end) => {
        const read = await buffer(await backend.open(key, { start, end }));
        expect(read.equals(bytes.subarray(start, end))).toBe(true);
      });

      it('stops when the stream is destroyed', async () => {
        const stream = await backend.open(key);
        stream.once('data', () => stream.destroy());
        await expect(buffer(stream)).rejects.toThrow();
        expect(await backend.delete(key)).toBe(true);
      });

      it('reads positions into a buffer, and says how much there was', async () => {
        const reader = await backend.openReader(key);
        const piece = Buffer.alloc(1000);
        expect(await reader.read(piece, 500)).toBe(1000);
        expect(piece.equals(bytes.subarray(500, 1500))).toBe(true);
        expect(await reader.read(piece, bytes.length - 10)).toBe(10);
        expect(piece.subarray(0, 10).equals(bytes.subarray(-10))).toBe(true);
        expect(await reader.read(piece, bytes.length + 10)).toBe(0);
        await reader.close();
      });

      it('tells size and time without reading', async () => {
        const info = await backend.info(key);
        expect(info).toMatchObject({ key, sizeBytes: bytes.length });
        expect(info.modifiedAt.getTime()).toBeGreaterThan(0);
        expect(await backend.exists(key)).toBe(true);
      });

      it('says so where there is no such object', async () => {
        const missing = key.replace(/.$/, (last) => (last === '0' ? '1' : '0'));
        await expect(backend.open(missing)).rejects.toThrow(ObjectMissing);
        await expect(backend.openReader(missing)).rejects.toThrow(ObjectMissing);
        await expect(backend.info(missing)).rejects.toThrow(ObjectMissing);
        expect(await backend.exists(missing)).toBe(false);
      });
    });

    describe('deleting', () => {
      it('takes the object away once, and says whether it was there', async () => {
        const key = await store(backend, randomBytes(10));
        expect(await backend.delete(key)).toBe(true);
        expect(await backend.exists(key)).toBe(false);
        expect(await backend.delete(key)).toBe(false);
      });

      it('can be undone by storing the same content again', async () => {
        const bytes = randomBytes(10);
        await backend.delete(await store(backend, bytes));
        expect(await buffer(await backend.open(await store(backend, bytes)))).toEqual(bytes);
      });
    });

    describe('listing', () => {
      it('gives every object under a prefix, staged ones too', async () => {
        const keys: string[] = [];
        for (let index = 0; index < 300; index++) {
          keys.push(await store(backend, Buffer.from(`object ${index}`)));
        }
        const { stagedKey } = await stage(backend, randomBytes(3));
        const listed = await collect(backend.list(''));
        expect(listed.map((object) => object.key).sort()).toEqual([...keys, stagedKey].sort());
        const one = keys[17]!;
        for (const prefix of [one, one.slice(0, -5), one.slice(0, one.lastIndexOf('/') + 1)]) {
          const under = await collect(backend.list(prefix));
          expect(under.map((object) => object.key).sort()).toEqual(
            keys.filter((key) => key.startsWith(prefix)).sort(),
          );
        }
        const [staged, ...others] = await collect(backend.list(stagedKey.slice(0, 3)));
        expect(staged).toMatchObject({ key: stagedKey, sizeBytes: 3 });
        expect(staged?.modifiedAt.getTime()).toBeGreaterThan(0);
        expect(others).toEqual([]);
      });

      it('gives nothing under a prefix that nothing begins with', async () => {
        await store(backend, randomBytes(3));
        for (const prefix of ['nothing', 'artifacts/zz', '../', '/']) {
          expect(await collect(backend.list(prefix))).toEqual([]);
        }
      });

      it('goes on while objects come and go', async () => {
        const keys = await Promise.all(
          Array.from({ length: 50 }, (_, index) => store(backend, Buffer.from(`${index}`))),
        );
        const seen: string[] = [];
        for await (const { key } of backend.list('')) {
          seen.push(key);
          if (seen.length === 1) {
            await Promise.all(keys.filter((one) => one !== key).map((one) => backend.delete(one)));
          }
        }
        expect(seen.length).toBeGreaterThanOrEqual(1);
        expect(new Set(seen).size).toBe(seen.length);
      });

      it('can be left early', async () => {
        for (let index = 0; index < 5; index++) await store(backend, Buffer.from(`${index}`));
        for await (const { key } of backend.list('')) {
          expect(await backend.exists(key)).toBe(true);
          break;
        }
      });
    });

    describe('keys', () => {
      it.each(HOSTILE_KEYS)('never follows %j', async (key) => {
        await expect(backend.open(key)).rejects.toThrow();
        await expect(backend.openReader(key)).rejects.toThrow();
        await expect(backend.info(key)).rejects.toThrow();
        await expect(backend.delete(key)).rejects.toThrow();
        await expect(backend.discard(key)).rejects.toThrow();
        await expect(
          backend.finalize({ stagedKey: key, sizeBytes: 0 }, digestOf(Buffer.alloc(0))),
        ).rejects.toThrow();
      });

      it('never drops a final object as if it were a staged one', async () => {
        const key = await store(backend, randomBytes(10));
        const staged = { stagedKey: key, sizeBytes: 10 };
        if (backend.finalKey(staged, digestOf(Buffer.from('other'))) === key) return;
        await expect(backend.discard(key)).rejects.toThrow();
        expect(await backend.exists(key)).toBe(true);
      });
    });

    it('says that it can be written to, and leaves no trace of having tried', async () => {
      await backend.checkWritable();
      expect(await collect(backend.list(''))).toEqual([]);
    });
  });
}
