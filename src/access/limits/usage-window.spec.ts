import { describe, expect, it } from '@jest/globals';
import { UsageWindow } from './usage-window.js';

describe('UsageWindow', () => {
  const times = <T>(count: number, work: () => T): T[] => Array.from({ length: count }, work);

  it('lets as many calls through as the limit says, and anew in the next window', () => {
    const window = new UsageWindow();
    const answers = times(4, () => window.take('a', 3, 65));
    expect(answers.map(({ isAllowed }) => isAllowed)).toEqual([true, true, true, false]);
    expect(answers.map(({ remaining }) => remaining)).toEqual([2, 1, 0, 0]);
    expect(answers[0]).toMatchObject({ limit: 3, resetSeconds: 55 });
    expect(window.take('b', 3, 65).isAllowed).toBe(true);
    expect(window.take('a', 3, 119.5)).toMatchObject({ isAllowed: false, resetSeconds: 1 });
    expect(window.take('a', 3, 120)).toMatchObject({ isAllowed: true, resetSeconds: 60 });
  });

  it('tells of those who used a hundredth of their limit, and of nobody else', () => {
    const window = new UsageWindow();
    times(9, () => window.take('modest', 1000, 0));
    times(10, () => window.take('busy', 1000, 0));
    window.take('all', 1, 0);
    expect(window.unshared(10)).toEqual([
      { subject: 'all', windowStart: 0, calls: 1 },
      { subject: 'busy', windowStart: 0, calls: 10 },
    ]);
    expect(window.unshared(1)).toHaveLength(1);
  });

  it('counts what others have told with what it has yet to tell', () => {
    const window = new UsageWindow();
    times(4, () => window.take('a', 10, 0));
    const [told] = window.unshared(1);
    window.take('a', 10, 0);
    window.shared(told!, 9);
    expect(window.take('a', 10, 0).isAllowed).toBe(false);
    expect(window.unshared(1)).toEqual([{ subject: 'a', windowStart: 0, calls: 1 }]);
    // What comes late, of a window that is over, no longer counts.
    expect(window.take('a', 10, 60).remaining).toBe(9);
    window.shared(told!, 10);
    expect(window.take('a', 10, 60).remaining).toBe(8);
  });
});
