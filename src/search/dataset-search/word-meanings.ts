import type { Reader } from '../../core/contracts/unit-of-work.js';
import type { Term } from '../text/query.js';
import { canBeMeant, slipsAllowed, spellingOf, withinSlips } from '../text/spelling.js';
import type { Meanings } from '../text/ts-query.js';

/** How alike the trigrams of two words must be before their letters are compared. */
const LEAST_SIMILARITY = 0.2;
const MOST_LOOKED_AT = 200;
const MOST_MEANINGS = 16;

/**
 * For each word of a search, those of the index that a few slips lead to. The words are those of all
 * datasets; nobody is told them: they only widen what is looked for among what the caller may read.
 */
export async function meaningsOf(tx: Reader, terms: readonly Term[]): Promise<Meanings> {
  const words = new Set(
    terms
      .filter(({ negated, quoted, prefix }) => !negated && !quoted && !prefix)
      .flatMap(({ rows }) => rows.flat())
      .filter(({ gram, folded }) => !gram && canBeMeant(folded) && slipsAllowed(folded) > 0)
      .map(({ folded }) => folded),
  );
  if (words.size === 0) return new Map();
  const typed = [...words];
  const rows = await tx.query<{ typed: string; word: string }>(
    `SELECT t.typed, near.word
     FROM unnest($1::text[], $2::text[]) t (typed, spelling)
     CROSS JOIN LATERAL search_similar_words(t.spelling, $3::real, $4::integer) near (word)`,
    [typed, typed.map(spellingOf), LEAST_SIMILARITY, MOST_LOOKED_AT],
  );
  const meanings = new Map<string, string[]>();
  for (const { typed: given, word } of rows) {
    if (word === given || !withinSlips(given, word, slipsAllowed(given))) continue;
    const known = meanings.get(given) ?? [];
    if (known.length < MOST_MEANINGS) meanings.set(given, [...known, word]);
  }
  return meanings;
}
