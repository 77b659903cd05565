import type { Stems } from './stemmer.js';
import type { QueryWord, Term } from './query.js';
import { fold, slotsOf, type Slot, type Word } from './slots.js';
import type { Meanings } from './ts-query.js';

/** Where something that was looked for stands: [start, end), in UTF-16 units. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** How much of a long text is shown around what was found, in UTF-16 units. */
const BEFORE = 60;
const LONGEST_EXCERPT = 240;
/** How much of a text is looked through. */
const FURTHEST = 100_000;

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Finds in texts what a search looked for, by the same rules as the index. */
export class Highlighter {
  private readonly terms: readonly Term[];

  /** @param meanings for a word that was typed, those that may have been meant */
  constructor(
    terms: readonly Term[],
    private readonly queryStems: Stems,
    private readonly meanings: Meanings,
  ) {
    this.terms = terms.filter(({ negated }) => !negated);
  }

  /** The words of a text whose stems `spans` has to know: those that may be a form of one looked for. */
  *candidates(text: string): Generator<string> {
    const beginnings = this.stemsWanted().map((stem) => stem.slice(0, 3));
    if (beginnings.length === 0) return;
    for (const { folded, written, gram } of slotsOf(text.slice(0, FURTHEST))) {
      if (!gram && beginnings.some((beginning) => folded.includes(beginning))) yield written;
    }
  }

  /** Where the text has what was looked for, in order and without overlap. */
  spans(text: string, stems: Stems): Span[] {
    const slots = [...slotsOf(text.slice(0, FURTHEST))];
    const found: Span[] = [];
    for (const term of this.terms) {
      for (const row of term.rows) {
        slots.forEach((slot, at) => {
          const end = this.endOfRow(term, row, slots, at, stems);
          if (end !== null) found.push({ start: slot.start, end });
        });
      }
    }
    return merged(found);
  }

  /** Quick to say no: no word that was looked for begins like anything in the text. */
  mayBeIn(text: string): boolean {
    const folded = fold(text.slice(0, FURTHEST));
    return this.terms.some(({ rows }) =>
      rows.some((row) => {
        const [first] = row;
        if (!first) return false;
        return [first.folded, ...this.formsOf(first)].some((form) =>
          // A stem may end otherwise than the word: `happi`, `happy`.
          folded.includes(form.length > 3 ? form.slice(0, -1) : form),
        );
      }),
    );
  }

  private endOfRow(
    term: Term,
    row: readonly QueryWord[],
    slots: readonly Slot[],
    from: number,
    stems: Stems,
  ): number | null {
    let at = from;
    let end: number | null = null;
    for (const [number, word] of row.entries()) {
      const slot = slots[at];
      if (!slot) return null;
      const begins = word.gram
        ? [...word.folded].length === 1
        : term.prefix && number === row.length - 1;
      if (slot.whole && this.isMeant(term, word, slot.whole, begins, stems)) {
        end = slot.whole.end;
        while ((slots[at]?.start ?? Infinity) < end) at += 1;
      } else if (this.isMeant(term, word, slot, begins, stems)) {
        end = slot.end;
        at += 1;
      } else {
        return null;
      }
    }
    return end;
  }

  private isMeant(
    { quoted }: Term,
    wanted: QueryWord,
    there: Word,
    begins: boolean,
    stems: Stems,
  ): boolean {
    if (begins ? there.folded.startsWith(wanted.folded) : there.folded === wanted.folded) {
      return true;
    }
    if (quoted || begins) return false;
    const forms = [wanted.folded, ...this.formsOf(wanted)];
    return forms.includes(there.folded) || stems.of(there.written).some((s) => forms.includes(s));
  }

  private formsOf({ folded, written }: Word): readonly string[] {
    return [...this.queryStems.of(written), ...(this.meanings.get(folded) ?? [])];
  }

  private stemsWanted(): string[] {
    return this.terms
      .filter(({ quoted }) => !quoted)
      .flatMap(({ rows }) => rows.flat().flatMap((word) => [word.folded, ...this.formsOf(word)]))
      .filter((stem) => stem.length >= 3);
  }
}

/**
 * A text, or the part of a long one around the first span, as HTML: `<mark>` around the spans, and
 * nothing of the text can be taken for markup.
 */
export function markUp(text: string, spans: readonly Span[]): string {
  const [from, to] = excerptAround(text, spans[0]);
  let html = from > 0 ? '…' : '';
  let at = from;
  for (const { start, end } of spans) {
    if (start < at || end > to) continue;
    html += `${escapeHtml(text.slice(at, start))}<mark>${escapeHtml(text.slice(start, end))}</mark>`;
    at = end;
  }
  return html + escapeHtml(text.slice(at, to)) + (to < text.length ? '…' : '');
}

function excerptAround(text: string, span: Span | undefined): [from: number, to: number] {
  if (text.length <= LONGEST_EXCERPT) return [0, text.length];
  const start = span?.start ?? 0;
  let from = Math.max(0, start - BEFORE);
  // Begins after a space, where there is one before what was found.
  if (from > 0) {
    const space = text.slice(from, start).search(/\s/);
    if (space >= 0) from += space + 1;
  }
  let to = Math.min(text.length, Math.max(from + LONGEST_EXCERPT, span?.end ?? 0));
  if (to < text.length) {
    const space = text.lastIndexOf(' ', to);
    if (space > (span?.end ?? 0)) to = space;
  }
  return [from, to];
}

function escapeHtml(text: string): string {
  return text.toWellFormed().replace(/[&<>"']/g, (character) => ESCAPES[character] ?? '');
}

function merged(spans: Span[]): Span[] {
  const result: { start: number; end: number }[] = [];
  for (const { start, end } of spans.toSorted((a, b) => a.start - b.start || b.end - a.end)) {
    const last = result.at(-1);
    if (last && start < last.end) last.end = Math.max(last.end, end);
    else result.push({ start, end });
  }
  return result;
}
