import { InvalidInput } from '../../core/problems.js';
import { slotsOf, type Slot, type Word } from './slots.js';

/** More words than this make no sense, and cost. */
const MOST_WORDS = 32;

export interface QueryWord extends Word {
  readonly gram: boolean;
}

/** What a search must find, or must not. */
export interface Term {
  readonly negated: boolean;
  /** In quotation marks: these very words, neither their other forms nor what they may mean. */
  readonly quoted: boolean;
  /** Ends with an asterisk: any word that begins so. */
  readonly prefix: boolean;
  /** Words in a row, any of these rows: as written, and with compounds (`seaIce`) taken apart. */
  readonly rows: readonly (readonly QueryWord[])[];
}

/**
 * Reads what somebody typed: words that must all be there, `"words in a row"`, `-without`, `begin*`.
 * Everything else divides words, so that no text is an error.
 * @throws InvalidInput for too many words
 */
export function parseQuery(text: string): Term[] {
  const terms: Term[] = [];
  let words = 0;
  for (const [chunk] of text.matchAll(/-?"[^"]*"?|\S+/gu)) {
    const slots = [...slotsOf(chunk)];
    const quoted = /^-?"/.test(chunk);
    const prefix = !quoted && chunk.endsWith('*');
    const rows = rowsOf(slots, prefix);
    if (rows.length === 0) continue;
    words += slots.length;
    terms.push({ negated: chunk.startsWith('-'), quoted, prefix, rows });
  }
  if (words > MOST_WORDS) {
    const message = `takes at most ${MOST_WORDS} words`;
    throw new InvalidInput(`q ${message}.`, [{ at: 'q', message }]);
  }
  return terms;
}

function rowsOf(slots: readonly Slot[], prefix: boolean): QueryWord[][] {
  // The last character of a run without spaces stands in the index by itself as well; where nothing
  // follows it, the pair before says enough.
  const last = slots.at(-1);
  const beforeLast = slots.at(-2);
  const needed = last?.gram && beforeLast?.gram && !prefix ? slots.slice(0, -1) : slots;
  const divided = needed.map(({ folded, written, gram }) => ({ folded, written, gram }));
  const whole: QueryWord[] = [];
  let passed = 0;
  for (const slot of needed) {
    if (slot.start < passed && !slot.gram) continue;
    const { folded, written, end } = slot.whole ?? slot;
    whole.push({ folded, written, gram: slot.gram });
    passed = end;
  }
  if (divided.length === 0) return [];
  return whole.length === divided.length ? [divided] : [whole, divided];
}
