import { describe, expect, it } from '@jest/globals';
import { AsyncLocalStorage } from 'node:async_hooks';
import { GroupCommit } from './group-commit.js';

const twice = (items: readonly number[]): PromiseSettledResult<number>[] =>
  items.map((item) => ({ status: 'fulfilled', value: item * 2 }));

describe('GroupCommit', () => {
  it('does together what comes at the same moment, and gives each its own result', async () => {
    const groups: (readonly number[])[] = [];
    const work = new GroupCommit<number, number>(
      async (items) => (groups.push(items), twice(items)),
      { items: 10, groups: 2 },
    );
    expect(await Promise.all([1, 2, 3].map((item) => work.submit(item)))).toEqual([2, 4, 6]);
    expect(groups).toEqual([[1, 2, 3]]);
  });

  it('does what comes meanwhile in the next group, and none larger than the limit', async () => {
    const groups: (readonly number[])[] = [];
    const late: Promise<number>[] = [];
    const work: GroupCommit<number, number> = new GroupCommit(
      async (items) => {
        if (groups.push(items) === 1) late.push(...[2, 3, 4].map((item) => work.submit(item)));
        return twice(items);
      },
      { items: 2, groups: 1 },
    );
    expect(await work.submit(1)).toBe(2);
    expect(await Promise.all(late)).toEqual([4, 6, 8]);
    expect(groups).toEqual([[1], [2, 3], [4]]);
  });

  it('tells each what became of it, and all of them when the work itself fails', async () => {
    const work = new GroupCommit<number, number>(
      async ([first, ...others]) => {
        if (first === 0) throw new Error('all');
        return [...twice([first!]), ...others.map(() => rejected('one'))];
      },
      { items: 10, groups: 1 },
    );
    expect(await Promise.allSettled([work.submit(1), work.submit(2)])).toEqual([
      { status: 'fulfilled', value: 2 },
      rejected('one'),
    ]);
    expect(await Promise.allSettled([work.submit(0), work.submit(2)])).toEqual([
      rejected('all'),
      rejected('all'),
    ]);
    expect(await work.submit(3)).toBe(6);
  });

  it('does the work in no context of those who asked for it', async () => {
    const context = new AsyncLocalStorage<string>();
    const work = new GroupCommit<number, string | undefined>(
      async (items) => items.map(() => ({ status: 'fulfilled', value: context.getStore() })),
      { items: 10, groups: 1 },
    );
    expect(await context.run('mine', () => work.submit(1))).toBeUndefined();
  });
});

function rejected(message: string): PromiseRejectedResult {
  return { status: 'rejected', reason: new Error(message) };
}
