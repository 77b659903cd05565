import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { mergeBases } from './merge-base.js';
import { versionsToRemove, type RetainableVersion } from './retention.js';

const version = (
  number: number,
  parents: number[],
  more: Partial<RetainableVersion> = {},
): RetainableVersion => ({ id: number, number, parents, removed: false, young: false, ...more });

/** 1 ← 2 ← … ← n. */
const line = (length: number): RetainableVersion[] =>
  Array.from({ length }, (_, index) => version(index + 1, index === 0 ? [] : [index]));

/** A history in which each version has up to two older parents. */
const history = fc
  .array(fc.tuple(fc.nat(), fc.option(fc.nat()), fc.boolean()), { minLength: 1, maxLength: 40 })
  .map((rows) =>
    rows.map(([first, second, young], index) => {
      const number = index + 1;
      const parents = index === 0 ? [] : [1 + (first % index)];
      const other = second === null || index === 0 ? null : 1 + (second % index);
      if (other !== null && other !== parents[0]) parents.push(other);
      return version(number, parents, { young });
    }),
  );

describe('versionsToRemove', () => {
  it('keeps the last of each branch, whatever is tagged, and what is young', () => {
    const versions = line(10).map((each) => ({ ...each, young: each.number === 4 }));
    const removed = versionsToRemove(versions, { heads: [10], others: [2] }, 3);
    expect(removed).toEqual([1, 3, 5, 6, 7]);
  });

  it('keeps what is merged no longer than its branch, and the fork of two that live', () => {
    // 1 ← 2 ← 4 ← 6 (main), 2 ← 3 merged into 4, 1 ← 5 (work)
    const versions = [
      version(1, []),
      version(2, [1]),
      version(3, [2]),
      version(4, [2, 3]),
      version(5, [1]),
      version(6, [4]),
    ];
    expect(versionsToRemove(versions, { heads: [6, 5], others: [] }, 1)).toEqual([2, 3, 4]);
    expect(versionsToRemove(versions, { heads: [6], others: [] }, 1)).toEqual([1, 2, 3, 4, 5]);
  });

  it('walks past tombstones and never removes one again', () => {
    const versions = line(6).map((each) => ({ ...each, removed: each.number === 3 }));
    expect(versionsToRemove(versions, { heads: [6], others: [1] }, 2)).toEqual([2, 4]);
  });

  it('keeps every merge base of what is named, and every line as long as it shall be', async () => {
    await fc.assert(
      fc.asyncProperty(
        history,
        fc.array(fc.nat(), { minLength: 1, maxLength: 4 }),
        fc.array(fc.nat(), { maxLength: 3 }),
        fc.integer({ min: 1, max: 5 }),
        async (versions, heads, others, keepLast) => {
          const pick = (n: number): number => 1 + (n % versions.length);
          const anchors = { heads: heads.map(pick), others: others.map(pick) };
          const removed = new Set(versionsToRemove(versions, anchors, keepLast));
          const named = [...anchors.heads, ...anchors.others];
          for (const each of named) expect(removed.has(each)).toBe(false);
          for (const { id, young } of versions) if (young) expect(removed.has(id)).toBe(false);
          const load = (ids: readonly number[]) =>
            Promise.resolve(versions.filter(({ id }) => ids.includes(id)));
          for (const a of named) {
            for (const b of named) {
              for (const base of await mergeBases(a, b, load))
                expect(removed.has(base)).toBe(false);
            }
          }
          for (const head of anchors.heads) {
            let at: number | undefined = head;
            for (let n = 0; n < keepLast && at !== undefined; n++) {
              expect(removed.has(at)).toBe(false);
              at = versions[at - 1]?.parents[0];
            }
          }
        },
      ),
      { numRuns: 200 },
    );
  });

  it('removes whatever nothing speaks for', () => {
    fc.assert(
      fc.property(history, fc.nat(), (versions, n) => {
        const head = 1 + (n % versions.length);
        const removed = versionsToRemove(versions, { heads: [head], others: [] }, 1);
        const kept = versions.filter(({ id }) => !removed.includes(id));
        expect(kept.every(({ id, young }) => young || id === head)).toBe(true);
      }),
    );
  });
});
