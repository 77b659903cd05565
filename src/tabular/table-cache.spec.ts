import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createHash } from 'node:crypto';
import {
  appendFile,
  chmod,
  mkdtemp,
  readFile,
  readdir,
  rm,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import type { Sha256 } from '../core/ids.js';
import { TableCache, type Origin } from './table-cache.js';

let directory: string;
let made = 0;
beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'varve-cache-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

const digestOf = (content: string) => createHash('sha256').update(content).digest('hex') as Sha256;

/** A store of contents, and which of them were asked for. */
class Store {
  readonly fetched: string[] = [];

  origin(content: string, sent: () => Readable = () => Readable.from([content])): Origin {
    return {
      sizeBytes: content.length,
      open: () => {
        this.fetched.push(content);
        return Promise.resolve(sent());
      },
    };
  }
}

const place = () => path.join(directory, `cache-${(made += 1)}`);
const [ONE, TWO] = [digestOf('one content'), digestOf('two')] as const;

describe('a content of a remote store', () => {
  it('is fetched once, however many ask', async () => {
    const cache = new TableCache(place(), 1000);
    const store = new Store();
    const lease = await cache.lease(ONE);
    const origin = store.origin('one content');
    const paths = await Promise.all([1, 2, 3].map(() => cache.bytes(lease, origin)));
    expect(await readFile(await cache.bytes(lease, origin), 'utf8')).toBe('one content');
    expect([new Set(paths).size, store.fetched.length]).toEqual([1, 1]);
    lease.release();
    lease.release();
    cache.close();
  });

  it('is not kept where its fetch failed', async () => {
    const at = place();
    const cache = new TableCache(at, 1000);
    const lease = await cache.lease(ONE);
    const broken = new Store().origin('one content', () =>
      Readable.from(
        (function* () {
          yield 'one';
          throw new Error('cut');
        })(),
      ),
    );
    await expect(cache.bytes(lease, broken)).rejects.toThrow('cut');
    expect(await readdir(at)).toEqual([]);
  });

  it('is not kept where other bytes came, or fewer', async () => {
    const at = place();
    const cache = new TableCache(at, 1000);
    const lease = await cache.lease(ONE);
    for (const sent of ['one contend', 'one', '']) {
      const other = new Store().origin('one content', () => Readable.from([sent]));
      await expect(cache.bytes(lease, other)).rejects.toMatchObject({ name: 'FetchedOtherBytes' });
    }
    expect(await readdir(at)).toEqual([]);
  });

  it('that is damaged in the cache is found to be, and fetched anew', async () => {
    const at = place();
    const store = new Store();
    const origin = store.origin('one content');
    const damages: ((file: string) => Promise<void>)[] = [
      (file) => writeFile(file, 'one contenu'),
      (file) => writeFile(file, ''),
      (file) => appendFile(file, '!'),
    ];
    const first = new TableCache(at, 1000);
    const lease = await first.lease(ONE);
    const file = await first.bytes(lease, origin);
    for (const damage of damages) {
      await chmod(file, 0o600);
      await damage(file);
      // By the process that fetched it, and by one that has just started.
      for (const cache of [first, new TableCache(at, 1000)]) {
        const other = await cache.lease(ONE);
        expect(await readFile(await cache.bytes(other, origin), 'utf8')).toBe('one content');
        other.release();
        cache.close();
      }
    }
    expect(store.fetched).toHaveLength(1 + damages.length);
    lease.release();
    first.close();
  });

  it('makes room before it comes, of what nobody uses', async () => {
    const at = place();
    const store = new Store();
    const cache = new TableCache(at, 10);
    const contents = ['aaaa', 'bbbb', 'cccc', 'dddd'];
    const used = await cache.lease(digestOf('aaaa'));
    for (const content of contents) {
      const lease = await cache.lease(digestOf(content));
      await cache.bytes(lease, store.origin(content));
      await utimes(`${lease.stem}.bytes`, contents.indexOf(content) + 1, 1);
      lease.release();
      const kept = await Promise.all(
        (await readdir(at)).map((name) => readFile(path.join(at, name), 'utf8')),
      );
      expect(kept.join('').length).toBeLessThanOrEqual(10);
      expect(kept).toEqual(expect.arrayContaining(['aaaa', content]));
    }
    expect(store.fetched).toEqual(contents);
    used.release();
    cache.close();
  });

  it('is fetched once more where the disk is full, with all room that there is', async () => {
    const at = place();
    const cache = new TableCache(at, 1000);
    const old = await cache.lease(TWO);
    await cache.bytes(old, new Store().origin('two'));
    old.release();
    let tries = 0;
    const full = Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
    const origin: Origin = {
      sizeBytes: 11,
      open: () =>
        (tries += 1) === 1 ? Promise.reject(full) : Promise.resolve(Readable.from(['one content'])),
    };
    const lease = await cache.lease(ONE);
    await cache.bytes(lease, origin);
    expect(await readdir(at)).toEqual([`${ONE}.bytes`]);
    const never: Origin = { sizeBytes: 3, open: () => Promise.reject(full) };
    await expect(cache.bytes(await cache.lease(TWO), never)).rejects.toBe(full);
    cache.close();
  });

  it('that many read while others push it out is there for each of them', async () => {
    const cache = new TableCache(place(), 40);
    const store = new Store();
    const contents = Array.from({ length: 8 }, (_, n) => `content ${n}`);
    await Promise.all(
      Array.from({ length: 6 }, async (_, reader) => {
        for (let turn = 0; turn < 40; turn += 1) {
          const content = contents[(turn * (reader + 1) + reader) % contents.length] as string;
          const lease = await cache.lease(digestOf(content));
          const file = await cache.bytes(lease, store.origin(content));
          await cache.tidy();
          expect(await readFile(file, 'utf8')).toBe(content);
          lease.release();
        }
      }),
    );
    cache.close();
    // They did push one another out.
    expect(store.fetched.length).toBeGreaterThan(contents.length);
  });
});

describe('what is too much', () => {
  it('goes by its last use, and never while it is used', async () => {
    const at = place();
    const cache = new TableCache(at, 5);
    const used = await cache.lease(ONE);
    const other = await cache.lease(TWO);
    await writeFile(`${used.stem}.txt`, '12345678');
    await writeFile(`${other.stem}.a`, '1234');
    await writeFile(`${other.stem}.part`, '1');
    await writeFile(`${other.stem}-${ONE}.rows-1.parquet`, '1');
    await utimes(`${used.stem}.txt`, 1, 1);
    // What a process that was killed had half made.
    await utimes(`${other.stem}.part`, 1, 1);
    other.release();
    await cache.tidy();
    expect(await readdir(at)).toEqual([`${ONE}.txt`, `${TWO}-${ONE}.rows-1.parquet`].toSorted());
    used.release();
    await cache.tidy();
    expect((await readdir(at)).filter((name) => name.endsWith('.txt'))).toEqual([]);
    cache.close();
  });
});

describe('a content that is to be forgotten', () => {
  it('goes with everything that was made of it, and nothing else does', async () => {
    const at = place();
    const cache = new TableCache(at, 1000);
    const stems = [ONE, TWO].map((sha256) => path.join(at, sha256));
    const [lease, other] = [await cache.lease(ONE), await cache.lease(TWO)];
    for (const name of ['.bytes', '.utf-8.txt']) await writeFile(`${stems[0]}${name}`, 'x');
    await writeFile(`${stems[1]}.avro.parquet`, 'x');
    await writeFile(`${stems[1]}-${ONE}.rows-1.parquet`, 'x');
    other.release();
    await cache.forget(ONE);
    // Somebody reads it still.
    expect(await cache.contents()).toEqual(expect.arrayContaining([ONE, TWO]));
    expect((await readdir(at)).length).toBe(4);
    lease.release();
    await cache.tidy();
    for (let left = await readdir(at); left.length > 1; left = await readdir(at));
    expect(await readdir(at)).toEqual([`${TWO}.avro.parquet`]);
    cache.close();
  });
});
