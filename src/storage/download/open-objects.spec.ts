import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { ObjectReader } from '../../core/contracts/storage-backend.js';
import { OpenObjects } from './open-objects.js';

let opened: string[];
let closed: string[];
let objects: OpenObjects;

beforeEach(() => {
  jest.useFakeTimers({ doNotFake: ['queueMicrotask', 'nextTick'] });
  opened = [];
  closed = [];
  objects = new OpenObjects({
    async openReader(key): Promise<ObjectReader> {
      opened.push(key);
      if (key === 'gone') throw new Error('no such object');
      return {
        read: async () => 0,
        close: async () => void closed.push(key),
      };
    },
  });
});

afterEach(() => {
  objects.onModuleDestroy();
  jest.useRealTimers();
});

describe('OpenObjects', () => {
  it('opens an object once for all who read it within a moment, and then closes it', async () => {
    const [first, second] = await Promise.all([
      objects.acquire('a', '1'),
      objects.acquire('a', '1'),
    ]);
    first.release('good');
    second.release('good');
    (await objects.acquire('a', '1')).release('good');
    expect([opened, closed]).toEqual([['a'], []]);
    await jest.advanceTimersByTimeAsync(4_000);
    expect(closed).toEqual(['a']);
    (await objects.acquire('a', '1')).release('good');
    expect(opened).toEqual(['a', 'a']);
  });

  it('leaves an object open for as long as somebody reads it', async () => {
    const lease = await objects.acquire('a', '1');
    await jest.advanceTimersByTimeAsync(60_000);
    expect(closed).toEqual([]);
    lease.release('good');
    await jest.advanceTimersByTimeAsync(0);
    expect(closed).toEqual(['a']);
  });

  it('opens an object anew once its row has changed: it may have been healed', async () => {
    (await objects.acquire('a', '1')).release('good');
    (await objects.acquire('a', '2')).release('good');
    expect(opened).toEqual(['a', 'a']);
  });

  it('does not use a reader again that has failed', async () => {
    (await objects.acquire('a', '1')).release('failed');
    (await objects.acquire('a', '1')).release('good');
    expect([opened, closed]).toEqual([['a', 'a'], ['a']]);
  });

  it('forgets what could not be opened', async () => {
    await expect(objects.acquire('gone', '1')).rejects.toThrow('no such object');
    await expect(objects.acquire('gone', '1')).rejects.toThrow('no such object');
    expect(opened).toEqual(['gone', 'gone']);
  });

  it('keeps a limited number open', async () => {
    const keys = Array.from({ length: 300 }, (_, i) => `object-${i}`);
    for (const key of keys) (await objects.acquire(key, '1')).release('good');
    await jest.advanceTimersByTimeAsync(0);
    expect(closed).toEqual(keys.slice(256));
  });

  it('closes all that nobody reads when the server stops', async () => {
    (await objects.acquire('a', '1')).release('good');
    objects.onModuleDestroy();
    await jest.advanceTimersByTimeAsync(0);
    expect(closed).toEqual(['a']);
  });
});
