/**
 * Cutting text into words, the same way for what is indexed, what is looked for and what is
 * highlighted. It happens here and not in PostgreSQL, whose parser depends on the database's locale,
 * takes a path for one word and knows nothing of scripts without spaces.
 */

/** A word as it is compared, and as it was written (in lower case), which is what stemmers know. */
export interface Word {
  readonly folded: string;
  readonly written: string;
}

/** A place in a text where a word stands. Consecutive slots are consecutive words. */
export interface Slot extends Word {
  /** Where it stands, in UTF-16 units: [start, end). */
  readonly start: number;
  readonly end: number;
  /** Two neighbouring characters of a script that puts no space between words. */
  readonly gram: boolean;
  /** Where the word is the first part of a compound such as `seaIce`: the compound. */
  readonly whole: (Word & { readonly end: number }) | null;
}

const RUN = /[\p{L}\p{M}\p{N}]+/gu;
const UNSPACED =
  /[\p{scx=Hani}\p{scx=Hira}\p{scx=Kana}\p{scx=Thai}\p{scx=Laoo}\p{scx=Khmr}\p{scx=Mymr}]+/gu;
/** Where camel case and digits divide a compound. */
const PART = /(?<=\p{Ll})(?=\p{Lu})|(?<=\p{L})(?=\p{N})|(?<=\p{N})(?=\p{L})/u;
/** Most words are: they need no folding but of case, and are no compounds. */
const ASCII = /^\p{ASCII}*$/u;
const LOWER_CASE_ASCII = /^[a-z]*$/;
const ACCENTED = /([\p{Script=Latin}\p{Script=Greek}])[\u0300-\u036f]+/gu;

/** Longer ones are cut: nobody types them, and an index entry has room for so much. */
const LONGEST_WORD = 64;

/** Folds case, width and the accents of Latin and Greek letters: what people leave out when they type. */
export function fold(text: string): string {
  if (ASCII.test(text)) return text.toLowerCase();
  return text
    .normalize('NFKD')
    .toLowerCase()
    .replace(ACCENTED, '$1')
    .replaceAll('ß', 'ss')
    .normalize('NFC');
}

/** The words of a text, in order. */
export function* slotsOf(text: string): Generator<Slot> {
  for (const { 0: run, index } of text.matchAll(RUN)) {
    if (ASCII.test(run)) {
      yield* compound(run, index);
      continue;
    }
    let at = 0;
    for (const { 0: unspaced, index: from } of run.matchAll(UNSPACED)) {
      yield* compound(run.slice(at, from), index + at);
      yield* grams(unspaced, index + from);
      at = from + unspaced.length;
    }
    yield* compound(run.slice(at), index + at);
  }
}

function* compound(text: string, start: number): Generator<Slot> {
  if (text === '') return;
  if (LOWER_CASE_ASCII.test(text)) {
    const only = cut(text);
    const end = start + text.length;
    yield { folded: only, written: only, start, end, gram: false, whole: null };
    return;
  }
  const parts = text.split(PART);
  const whole = parts.length > 1 ? { ...word(text), end: start + text.length } : null;
  let at = start;
  for (const [number, part] of parts.entries()) {
    const end = at + part.length;
    yield { ...word(part), start: at, end, gram: false, whole: number === 0 ? whole : null };
    at = end;
  }
}

/** Each character with the next one, the last one alone. */
function* grams(text: string, start: number): Generator<Slot> {
  const characters = [...text];
  let at = start;
  for (const [number, character] of characters.entries()) {
    const pair = character + (characters[number + 1] ?? '');
    yield { ...word(pair), start: at, end: at + pair.length, gram: true, whole: null };
    at += character.length;
  }
}

function word(text: string): Word {
  return { folded: cut(fold(text)), written: cut(text.normalize('NFC').toLowerCase()) };
}

function cut(text: string): string {
  return text.length <= LONGEST_WORD ? text : text.slice(0, LONGEST_WORD).toWellFormed();
}
