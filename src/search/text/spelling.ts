import { fold } from './slots.js';

const LETTERS = 'abcdefghijklmnopqrstuvwxyz0123456789';
const SEPARATORS = /[^\p{L}\p{M}\p{N}]+/gu;
const NOT_ASCII = /[^ a-z0-9]/gu;

/** What may have been meant by a mistyped word. */
const MEANT = /^[\p{L}\p{M}]{4,32}$/u;

/**
 * A text with one ASCII letter or digit for each letter, whatever its script: what trigrams are made
 * of. Two letters may share one, so what is found by it is near, but has yet to be judged.
 */
export function spellingOf(text: string): string {
  return fold(text)
    .replace(SEPARATORS, ' ')
    .trim()
    .replace(NOT_ASCII, (letter) => LETTERS[(letter.codePointAt(0) ?? 0) % LETTERS.length] ?? '');
}

/** Whether a folded word may have been meant by a mistyped one: letters, and not too few of them. */
export function canBeMeant(word: string): boolean {
  return MEANT.test(word);
}

/**
 * How many slips may lie between what was typed and what was meant. None in a short word, which is
 * near to too many others.
 */
export function slipsAllowed(word: string): number {
  if (word.length < 5) return 0;
  return word.length < 8 ? 1 : 2;
}

/**
 * Whether one word becomes the other by at most so many letters put in, left out, exchanged for
 * another or swapped with their neighbour (optimal string alignment distance).
 */
export function withinSlips(one: string, other: string, slips: number): boolean {
  const a = [...one];
  const b = [...other];
  if (Math.abs(a.length - b.length) > slips) return false;
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const next = [row];
    for (let column = 1; column <= b.length; column++) {
      const same = a[row - 1] === b[column - 1] ? 0 : 1;
      let least = Math.min(
        (last[column] ?? 0) + 1,
        (next[column - 1] ?? 0) + 1,
        (last[column - 1] ?? 0) + same,
      );
      if (row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]) {
        least = Math.min(least, (before[column - 2] ?? 0) + 1);
      }
      next.push(least);
    }
    if (Math.min(...next) > slips) return false;
    [before, last] = [last, next];
  }
  return (last[b.length] ?? 0) <= slips;
}
