import type { Stems } from './stemmer.js';
import type { QueryWord, Term } from './query.js';

/** For a word that was typed, those that may have been meant. */
export type Meanings = ReadonlyMap<string, readonly string[]>;

/** A word as PostgreSQL's text search types are written. */
export function quoteLexeme(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
}

/**
 * The terms that count: words that say nothing (`the`) are left out, unless nothing else is there.
 */
export function significant(terms: readonly Term[], stems: Stems): Term[] {
  const saysNothing = ({ negated, quoted, rows }: Term) =>
    !negated && !quoted && (rows[0] ?? []).every(({ written }) => stems.isStopWord(written));
  const left = terms.filter((term) => !saysNothing(term));
  return left.some(({ negated }) => !negated) ? left : [...terms];
}

/** The terms as the text of a `tsquery`. */
export function tsQueryOf(terms: readonly Term[], stems: Stems, meanings: Meanings): string {
  return terms
    .map((term) => {
      const rows = term.rows.map((row) =>
        row
          .map((word, at) => oneWord(term, word, at === row.length - 1, stems, meanings))
          .join(' <-> '),
      );
      return `${term.negated ? '!' : ''}(${rows.map((row) => `(${row})`).join(' | ')})`;
    })
    .join(' & ');
}

function oneWord(
  { quoted, prefix, negated }: Term,
  word: QueryWord,
  isLast: boolean,
  stems: Stems,
  meanings: Meanings,
): string {
  // A single character of a script without spaces begins the pairs that it stands in.
  const alone = word.gram && [...word.folded].length === 1;
  if ((prefix && isLast) || alone) return `${quoteLexeme(word.folded)}:*`;
  const forms = quoted
    ? [word.folded]
    : [
        word.folded,
        ...stems.of(word.written),
        ...(negated ? [] : (meanings.get(word.folded) ?? [])),
      ];
  return `(${[...new Set(forms)].map(quoteLexeme).join(' | ')})`;
}
