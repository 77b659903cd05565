import { setTimeout as sleep } from 'node:timers/promises';

/** Longer than any lease of a process that has died. */
const GIVE_UP_MS = 90_000;
const INTERVAL_MS = 20;

/**
 * Waits until a check neither throws nor gives null. How long it takes is not tested: it gives up
 * only where it would wait for ever.
 */
export async function eventually<T>(check: () => Promise<T> | T): Promise<Exclude<T, null>> {
  const giveUpAt = Date.now() + GIVE_UP_MS;
  for (;;) {
    try {
      const value = await check();
      if (value !== null) return value as Exclude<T, null>;
      if (Date.now() > giveUpAt) throw new Error('It did not come to pass.');
    } catch (error) {
      if (Date.now() > giveUpAt) throw error;
    }
    await sleep(INTERVAL_MS);
  }
}
