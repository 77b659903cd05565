/** A part of what a version is read from: a lineage's rows up to a depth, and its base. */
export interface Segment {
  readonly lineageId: number;
  readonly depth: number;
  /** How many rows reading it may touch, its base included. */
  readonly rows: number;
  /** How many of them are its base, which holds each name once. */
  readonly baseRows: number;
}

/** A lineage may always grow to this many rows: below it there is nothing to save. */
const SMALL = 256;

/** More segments than this are worth copying together. */
const MANY_SEGMENTS = 8;

/** How many rows a commit may copy for each row that it writes and still count as affording it. */
const AFFORDABLE = 8;

/**
 * A commit that can afford it copies as soon as there is a dead row for so many living ones: names
 * that were removed in a row have to be passed one by one.
 */
const LIVING_PER_DEAD = 4;

/** Dead rows may be this many times the living ones before they are left behind at any price. */
const INTOLERABLE = 4;

/**
 * Whether a child with `changes` rows goes on where its parent lies. Reading an old version passes
 * the names that later versions of its lineage added; so a lineage never grows to more than what lay
 * beneath it when it began, and what is passed stays within a factor of what is there.
 *
 * @param segments of the parent, the nearest first
 */
export function continuesLineage(segments: readonly Segment[], changes: number): boolean {
  const [own, ...older] = segments;
  if (!own) return false;
  const beneath = own.baseRows + sumRows(older);
  return own.rows - own.baseRows + changes <= Math.max(SMALL, beneath);
}

/**
 * How many of a version's segments, the nearest first, are to be copied into one base: 0 for none;
 * all of them where dead rows (removed, or put anew later) have become many. What is copied
 * is paid for by the rows that were written since they were last copied, so that committing k
 * changes costs O(k) amortised, and a version has O(log n) segments however its history forked.
 *
 * @param segments of the version that was just committed
 * @param living how many files the version has
 * @param changes how many rows the version itself wrote
 */
export function segmentsToCompact(
  segments: readonly Segment[],
  living: number,
  changes: number,
): number {
  const total = sumRows(segments);
  const dead = total - living;
  if (dead > Math.max(SMALL, living / LIVING_PER_DEAD)) {
    const affordable = living <= AFFORDABLE * Math.max(changes, SMALL / AFFORDABLE);
    if (affordable || dead > INTOLERABLE * living) return segments.length;
  }
  if (segments.length <= MANY_SEGMENTS) return 0;
  // Size-tiered, as in a log-structured merge tree: a segment joins while it is no larger than
  // twice what is copied already, so that each row is copied a logarithmic number of times.
  let copied = 0;
  let sum = 0;
  for (const { rows } of segments) {
    if (copied > 0 && rows > Math.max(2 * sum, SMALL)) break;
    copied += 1;
    sum += rows;
  }
  return copied > 1 ? copied : 0;
}

/**
 * How many names a page should ask of each segment at first, so that together they probably fill
 * it: as much as its share of all rows, and a few more. A segment of unknown size (Infinity) is asked
 * for the whole page.
 */
export function shareOfPage(
  segments: readonly { readonly rows: number }[],
  limit: number,
): number[] {
  const total = sumRows(segments.filter(({ rows }) => Number.isFinite(rows)));
  return segments.map(({ rows }) => {
    if (!Number.isFinite(rows)) return limit;
    return Math.min(limit, rows + 1, Math.ceil((limit * 1.3 * rows) / Math.max(1, total)) + 4);
  });
}

function sumRows(segments: readonly { readonly rows: number }[]): number {
  return segments.reduce((sum, { rows }) => sum + rows, 0);
}
