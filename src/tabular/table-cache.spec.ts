import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { mkdtemp, readFile, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import type { Sha256 } from '../core/ids.js';
import { TableCache } from './table-cache.js';

const [ONE, TWO] = ['1'.repeat(64), '2'.repeat(64)] as Sha256[] as [Sha256, Sha256];
let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'varve-cache-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

it('fetches a content once, however many ask', async () => {
  const cache = new TableCache(path.join(directory, 'once'), 1000);
  let fetched = 0;
  const fetch = () => {
    fetched += 1;
    return Promise.resolve(Readable.from([Buffer.from('abc')]));
  };
  const lease = await cache.lease(ONE);
  const paths = await Promise.all([1, 2, 3].map(() => cache.bytes(lease, fetch)));
  expect(await readFile(await cache.bytes(lease, fetch), 'utf8')).toBe('abc');
  expect([new Set(paths).size, fetched]).toEqual([1, 1]);
  lease.release();
  lease.release();
  cache.close();
});

it('keeps nothing of a fetch that failed', async () => {
  const at = path.join(directory, 'failed');
  const cache = new TableCache(at, 1000);
  const lease = await cache.lease(ONE);
  const broken = Readable.from(
    (function* () {
      yield Buffer.from('a');
      throw new Error('cut');
    })(),
  );
  await expect(cache.bytes(lease, () => Promise.resolve(broken))).rejects.toThrow('cut');
  expect(await readdir(at)).toEqual([]);
});

it('lets go of the longest unused first, and never of what is in use', async () => {
  const at = path.join(directory, 'tidy');
  const cache = new TableCache(at, 5);
  const used = await cache.lease(ONE);
  const other = await cache.lease(TWO);
  await writeFile(`${used.stem}.txt`, '12345678');
  await writeFile(`${other.stem}.a`, '1234');
  await writeFile(`${other.stem}.part`, '1');
  await utimes(`${used.stem}.txt`, 1, 1);
  await utimes(`${other.stem}.part`, 1, 1);
  other.release();
  await cache.tidy();
  expect(await readdir(at)).toEqual([`${ONE}.txt`]);
  used.release();
  await cache.tidy();
  expect(await readdir(at)).toEqual([]);
});
