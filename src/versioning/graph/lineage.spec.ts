import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { continuesLineage, segmentsToCompact, shareOfPage, type Segment } from './lineage.js';

const sum = (segments: readonly Segment[]) => segments.reduce((total, { rows }) => total + rows, 0);

/** What committing does to the segments of a branch's head, and how many rows it copies. */
function commit(
  head: readonly Segment[],
  change: { changes: number; living: number; forks: boolean },
): { head: Segment[]; copied: number } {
  const { changes, living, forks } = change;
  const [own, ...older] = head;
  const child: Segment[] =
    own && !forks && continuesLineage(head, changes)
      ? [{ ...own, depth: own.depth + 1, rows: own.rows + changes }, ...older]
      : [{ lineageId: 0, depth: 1, rows: changes, baseRows: 0 }, ...head];
  const compacted = segmentsToCompact(child, living, changes);
  if (compacted === 0) return { head: child, copied: 0 };
  const merged = child.slice(0, compacted);
  const rows = compacted === child.length ? living : sum(merged);
  return {
    head: [{ lineageId: 0, depth: 0, rows, baseRows: rows }, ...child.slice(compacted)],
    copied: sum(merged),
  };
}

describe('the lineage policy', () => {
  const anyChange = fc.record({
    put: fc.oneof(fc.constant(1), fc.integer({ min: 0, max: 40 }), fc.constantFrom(0, 5000)),
    removed: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 40 }), fc.constantFrom(0, 3000)),
    rewritten: fc.oneof(fc.constant(1), fc.integer({ min: 0, max: 40 }), fc.constantFrom(0, 2000)),
    forks: fc.boolean(),
    times: fc.constantFrom(1, 1, 1, 50, 400),
  });

  it('copies O(k) rows amortised, keeps few segments, and keeps dead rows within bounds', () => {
    fc.assert(
      fc.property(fc.array(anyChange, { maxLength: 30 }), (changes) => {
        let head: Segment[] = [];
        let living = 0;
        let written = 0;
        let copied = 0;
        for (const { put, removed, rewritten, forks, times } of changes) {
          for (let i = 0; i < times; i++) {
            const gone = Math.min(removed, living);
            const again = Math.min(rewritten, living - gone);
            const rows = put + gone + again;
            if (rows === 0) continue;
            living += put - gone;
            const after = commit(head, { changes: rows, living, forks });
            head = after.head;
            written += rows;
            copied += after.copied;
            const dead = sum(head) - living;
            expect(dead).toBeLessThanOrEqual(Math.max(256, 4 * living));
            expect(head.length).toBeLessThanOrEqual(8 + Math.log2(written + 1));
          }
        }
        expect(copied).toBeLessThanOrEqual(12 * written + 1000 * Math.log2(written + 2));
      }),
    );
  });

  it('starts afresh when a commit leaves few of very many', () => {
    const before: Segment = { lineageId: 1, depth: 1, rows: 1_000_000, baseRows: 0 };
    const after = { ...before, depth: 2, rows: 1_999_900 };
    expect(segmentsToCompact([after], 100, 999_900)).toBe(1);
  });

  it('starts afresh when a commit removes a good part, which a page might have to pass', () => {
    const before: Segment = { lineageId: 1, depth: 1, rows: 1_000_000, baseRows: 0 };
    const after = { ...before, depth: 2, rows: 1_200_000 };
    expect(segmentsToCompact([after], 800_000, 200_000)).toBe(1);
    // A tenth put anew is passed by nobody, and cannot pay for the rest.
    expect(segmentsToCompact([{ ...after, rows: 1_100_000 }], 1_000_000, 100_000)).toBe(0);
  });

  it('does not make a commit of one path copy a million', () => {
    const before: Segment = { lineageId: 1, depth: 1, rows: 1_000_000, baseRows: 0 };
    expect(segmentsToCompact([{ ...before, rows: 1 }, before], 1_000_000, 1)).toBe(0);
    expect(segmentsToCompact([{ ...before, rows: 1_000_001 }, before], 999_999, 1)).toBe(0);
  });

  it('never lets a small first version be read past what came much later', () => {
    const first: Segment = { lineageId: 1, depth: 1, rows: 100, baseRows: 0 };
    expect(continuesLineage([first], 100)).toBe(true);
    expect(continuesLineage([first], 1000)).toBe(false);
    expect(
      continuesLineage(
        [
          { ...first, rows: 900 },
          { ...first, rows: 1000 },
        ],
        100,
      ),
    ).toBe(true);
    expect(
      continuesLineage(
        [
          { ...first, rows: 901 },
          { ...first, rows: 1000 },
        ],
        100,
      ),
    ).toBe(false);
    expect(continuesLineage([], 1)).toBe(false);
  });
});

describe('shareOfPage', () => {
  it('asks enough of all segments together to fill a page, and little of the small ones', () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 1e6 }), { minLength: 1, maxLength: 64 }), (rows) => {
        const shares = shareOfPage(
          rows.map((count) => ({ rows: count })),
          100,
        );
        const total = rows.reduce((a, b) => a + b, 0);
        expect(shares.reduce((a, b) => a + b, 0)).toBeGreaterThanOrEqual(Math.min(100, total));
        shares.forEach((share) => expect(share).toBeGreaterThan(0));
      }),
    );
    expect(shareOfPage([{ rows: 1 }, { rows: 1_000_000 }], 100)).toEqual([2, 100]);
  });
});
