import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { isAfter, parseCursor, toCursor } from './log-position.js';

const positions = fc
  .tuple(fc.bigInt(0n, 2n ** 64n - 1n), fc.bigInt(0n, 2n ** 63n - 1n))
  .map(([transactionId, position]) => ({
    transactionId: String(transactionId),
    position: String(position),
  }));

describe('a position in the log', () => {
  it('comes back from its cursor as it was', () => {
    fc.assert(fc.property(positions, (at) => expect(parseCursor(toCursor(at))).toEqual(at)));
  });

  it('is ordered by transaction, then by number', () => {
    fc.assert(
      fc.property(positions, positions, (a, b) => {
        const [x, y] = [a, b].map((at) => (BigInt(at.transactionId) << 64n) + BigInt(at.position));
        expect(isAfter(a, b)).toBe(x! > y!);
      }),
    );
  });

  it.each(['', '1', '1-', '-1', '01-1', '1-01', '18446744073709551616-1', '1-9223372036854775808'])(
    'is not to be had from %j',
    (text) => expect(parseCursor(text)).toBeNull(),
  );
});
