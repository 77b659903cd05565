import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { setImmediate } from 'node:timers/promises';
import { backoffMs } from './durable-subscription.js';
import { runInOrder } from './ordered-run.js';

const never = () => false;

describe('runInOrder', () => {
  it('keeps the order of each subject, within its concurrency, whatever fails', async () => {
    const tasks = fc.array(
      fc.record({ subject: fc.constantFrom('a', 'b', 'c'), how: fc.constantFrom('sync', 'async') }),
      { maxLength: 30 },
    );
    await fc.assert(
      fc.asyncProperty(tasks, fc.integer({ min: 1, max: 4 }), fc.nat(40), async (all, n, bad) => {
        const begun: number[] = [];
        let running = 0;
        const outcomes = await runInOrder(
          all.map((item, index) => ({ item: { ...item, index }, subject: item.subject })),
          ({ how, index }) => {
            begun.push(index);
            if (how === 'sync') {
              if (index === bad) throw new Error('no');
              return;
            }
            return (async () => {
              expect(++running).toBeLessThanOrEqual(n);
              await setImmediate();
              running--;
              if (index === bad) throw new Error('no');
            })();
          },
          { concurrency: n, isOver: never },
        );
        expect(outcomes).toHaveLength(all.length);
        for (const subject of ['a', 'b', 'c']) {
          const own = begun.filter((index) => all[index]!.subject === subject);
          expect(own).toEqual(own.toSorted((x, y) => x - y));
        }
        for (const [index, { status }] of outcomes.entries()) {
          const behind = index > bad && all[index]!.subject === all[bad]?.subject;
          expect(status).toBe(index === bad ? 'failed' : behind ? 'parked' : 'handled');
        }
      }),
    );
  });

  it('begins no more once it is over, and ends what has begun', async () => {
    const ended: number[] = [];
    const outcomes = await runInOrder(
      [1, 2, 3].map((item) => ({ item, subject: String(item) })),
      async (item) => {
        await setImmediate();
        ended.push(item);
      },
      { concurrency: 1, isOver: () => ended.length === 2 },
    );
    expect(outcomes).toEqual([{ status: 'handled' }, { status: 'handled' }]);
    expect(ended).toEqual([1, 2]);
  });
});

describe('backoffMs', () => {
  it('grows from attempt to attempt, up to an hour, half of it at random', () => {
    expect([1, 2, 3].map((attempt) => backoffMs(500, attempt, 1))).toEqual([500, 2_000, 8_000]);
    expect(backoffMs(500, 1, 0)).toBe(250);
    expect(backoffMs(500, 30, 1)).toBe(3_600_000);
  });
});
