import { InvalidInput } from '../../core/problems.js';

/** How long a path may be, in bytes of UTF-8. */
export const MAX_PATH_BYTES = 1024;

const CONTROL = /\p{Cc}/u;
const DRIVE = /^[A-Za-z]:[\\/]/;

/**
 * What is wrong with a path, or null. A path is taken as it is written: nothing is normalised, so
 * NFC and NFD twins, names that differ in case, and percent-encoded text are different names.
 */
export function pathComplaint(path: unknown): string | null {
  if (typeof path !== 'string') return 'takes text';
  if (path === '') return 'must not be empty';
  if (!path.isWellFormed()) return 'must not contain half of a surrogate pair';
  if (CONTROL.test(path)) return 'must not contain NUL or other control characters';
  if (/^[\\/]/.test(path) || DRIVE.test(path)) return 'must be relative';
  // Somebody will unpack this on a system where a backslash separates: there, too, it must stay in.
  const segments = path.split(/[\\/]/);
  if (segments.includes('..')) return 'must not contain ".." segments';
  if (segments.includes('.')) return 'must not contain "." segments';
  if (path.split('/').includes('')) return 'must not contain empty segments';
  return Buffer.byteLength(path) > MAX_PATH_BYTES
    ? `takes at most ${MAX_PATH_BYTES} bytes of UTF-8`
    : null;
}

/**
 * Passes a path that may stand in a version, unchanged.
 * @param at where the path stood in the input
 * @throws InvalidInput saying why not
 */
export function parsePath(path: unknown, at = 'path'): string {
  const complaint = pathComplaint(path);
  if (complaint === null) return path as string;
  throw new InvalidInput(`${at} ${complaint}.`, [{ at, message: complaint }]);
}

/** Orders texts by the bytes of their UTF-8, as PostgreSQL's "C" collation does. */
export function comparePaths(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) return rank(x) - rank(y);
  }
  return a.length - b.length;
}

/** UTF-16 puts surrogates before U+E000; UTF-8 puts what they stand for after U+FFFF. */
function rank(codeUnit: number): number {
  if (codeUnit < 0xd800) return codeUnit;
  return codeUnit >= 0xe000 ? codeUnit - 0x800 : codeUnit + 0x2000;
}

/** The least text that is greater than every text that starts with `prefix`; null for none. */
export function prefixEnd(prefix: string): string | null {
  const points = [...prefix].map((character) => character.codePointAt(0) ?? 0);
  for (let last = points.pop(); last !== undefined; last = points.pop()) {
    if (last === 0x10ffff) continue;
    const next = last === 0xd7ff ? 0xe000 : last + 1;
    return String.fromCodePoint(...points, next);
  }
  return null;
}

/** Greater than whatever may follow in a path. */
const AFTER_ANYTHING = '\u{10FFFF}'.repeat(MAX_PATH_BYTES / 4 + 1);

/** A text after every path that starts with `prefix`, and before every other one that follows. */
export function afterPrefix(prefix: string): string {
  return prefix + AFTER_ANYTHING;
}
