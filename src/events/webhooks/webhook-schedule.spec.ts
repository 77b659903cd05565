import { describe, expect, it } from '@jest/globals';
import { nextAttemptMs } from './webhook-schedule.js';

const DAY_MS = 24 * 60 * 60 * 1000;

describe('nextAttemptMs', () => {
  it('grows, and ends after a day', () => {
    const pauses: number[] = [];
    for (let attempts = 1; ; attempts++) {
      const pause = nextAttemptMs(attempts, null, 0.5);
      if (pause === null) break;
      pauses.push(pause);
    }
    expect(pauses).toEqual(pauses.toSorted((a, b) => a - b));
    const total = pauses.reduce((sum, pause) => sum + pause, 0);
    expect(Math.abs(total - DAY_MS)).toBeLessThan(DAY_MS / 100);
  });

  it('is no sooner than the receiver asks, but within a day', () => {
    expect(nextAttemptMs(1, 60_000)).toBe(60_000);
    expect(nextAttemptMs(1, 10 * DAY_MS)).toBe(DAY_MS);
    expect(nextAttemptMs(2, 1_000)).toBeGreaterThan(200_000);
  });
});
