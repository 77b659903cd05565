import { describe, expect, it } from '@jest/globals';
import { DutyCycle } from './duty-cycle.js';

describe('DutyCycle', () => {
  it('rests four times as long as the work took, and no longer', async () => {
    let now = 1_000;
    const cycle = new DutyCycle(() => now);
    expect(cycle.restMs).toBe(0);
    await cycle.run(async () => {
      now += 50;
    });
    expect(cycle.restMs).toBe(200);
    now += 150;
    expect(cycle.restMs).toBe(50);
    now += 100;
    expect(cycle.restMs).toBe(0);
  });

  it('rests after work that failed, and at most five seconds', async () => {
    let now = 0;
    const cycle = new DutyCycle(() => now);
    const work = async () => {
      now += 60_000;
      throw new Error('no');
    };
    await expect(cycle.run(work)).rejects.toThrow('no');
    expect(cycle.restMs).toBe(5_000);
  });

  it('lets nobody begin beside work that runs', async () => {
    let now = 0;
    const cycle = new DutyCycle(() => now);
    await cycle.run(async () => {
      expect(cycle.restMs).toBe(1);
      now += 100;
      expect(cycle.restMs).toBe(400);
    });
  });
});
