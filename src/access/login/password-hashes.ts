import { Injectable } from '@nestjs/common';
import argon2 from 'argon2';
import { Unavailable } from '../../core/problems.js';

/** OWASP's choice for argon2id; a hash carries its own, so that this can grow. */
const COST = { type: argon2.argon2id, memoryCost: 19_456, timeCost: 2, parallelism: 1 } as const;
/** Each takes 19 MiB and a thread of the pool that files are read with. */
const AT_ONCE = 2;
const MAX_WAITING = 64;

/** Hashes and checks passwords, a few at a time: many at once would take the memory of all others. */
@Injectable()
export class PasswordHashes {
  private running = 0;
  private readonly waiting: (() => void)[] = [];
  /** Of a password that nobody has: checked where there is none, for the same time to pass. */
  private nobodys: Promise<string> | null = null;

  hash(password: string): Promise<string> {
    return this.oneOfAFew(() => argon2.hash(password, COST));
  }

  /** Takes the same time for null, which nothing matches. */
  async matches(hash: string | null, password: string): Promise<boolean> {
    // Made for whoever comes first, not for the first whom nobody knows: that would take longer.
    const nobodys = await (this.nobodys ??= this.hash('nobody has this password'));
    const equal = await this.oneOfAFew(() => argon2.verify(hash ?? nobodys, password));
    return equal && hash !== null;
  }

  /** @throws Unavailable where too many wait already */
  private async oneOfAFew<T>(work: () => Promise<T>): Promise<T> {
    if (this.running >= AT_ONCE) {
      if (this.waiting.length >= MAX_WAITING) {
        throw new Unavailable('Too many are signing in at the moment. Try again shortly.', 2);
      }
      await new Promise<void>((resolve) => this.waiting.push(resolve));
    } else this.running++;
    try {
      return await work();
    } finally {
      // Its place goes to whoever waits longest, and is free only where nobody does.
      const next = this.waiting.shift();
      if (next) next();
      else this.running--;
    }
  }
}
