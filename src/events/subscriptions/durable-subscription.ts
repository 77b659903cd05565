import type { EventHandler, SubscriptionOptions } from '../../core/contracts/event-bus.js';

/** A durable subscription as the program declares it. */
export interface DurableSubscription {
  readonly name: string;
  readonly pattern: string;
  readonly handler: EventHandler;
  readonly attempts: number;
  readonly backoffMs: number;
  readonly concurrency: number;
}

const DEFAULTS = { attempts: 3, backoffMs: 500, concurrency: 16 };
const FACTOR = 4;
const LONGEST_MS = 60 * 60 * 1000;

export function durableSubscription(
  pattern: string,
  handler: EventHandler,
  { name, attempts, backoffMs, concurrency }: SubscriptionOptions,
): DurableSubscription {
  return {
    name,
    pattern,
    handler,
    attempts: attempts ?? DEFAULTS.attempts,
    backoffMs: backoffMs ?? DEFAULTS.backoffMs,
    concurrency: concurrency ?? DEFAULTS.concurrency,
  };
}

/**
 * How long to wait after so many failed attempts; half of it at random, lest what failed together
 * is tried again together.
 * @param random from 0 to 1
 */
export function backoffMs(firstMs: number, attempts: number, random = Math.random()): number {
  const whole = Math.min(firstMs * FACTOR ** (attempts - 1), LONGEST_MS);
  return Math.round(whole * (0.5 + random / 2));
}
