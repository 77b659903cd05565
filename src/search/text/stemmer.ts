import { Inject, Injectable } from '@nestjs/common';
import type { Reader } from '../../core/contracts/unit-of-work.js';
import { CONFIG, type Config } from '../../platform/config/config.js';
import { fold } from './slots.js';

/** What the configured languages make of some words. */
export class Stems {
  constructor(
    private readonly stems: ReadonlyMap<string, readonly string[]>,
    private readonly stopWords: ReadonlySet<string>,
  ) {}

  static readonly NONE = new Stems(new Map(), new Set());

  /** The stems of a word (in lower case, as written) that differ from the word, folded. */
  of(written: string): readonly string[] {
    return this.stems.get(written) ?? [];
  }

  /** Whether a language takes it for a word that says nothing by itself. */
  isStopWord(written: string): boolean {
    return this.stopWords.has(written);
  }
}

/** Stems words with PostgreSQL's Snowball dictionaries, of all configured languages at once. */
@Injectable()
export class Stemmer {
  private readonly dictionaries: readonly string[];

  constructor(@Inject(CONFIG) config: Pick<Config, 'SEARCH_LANGUAGES'>) {
    this.dictionaries = config.SEARCH_LANGUAGES.map((language) => `${language}_stem`);
  }

  async stem(tx: Reader, written: Iterable<string>): Promise<Stems> {
    const words = [...new Set(written)];
    if (words.length === 0 || this.dictionaries.length === 0) return Stems.NONE;
    const rows = await tx.query<{ word: string; stems: string[] }>(
      `SELECT word, stems FROM (
         SELECT w.word, ts_lexize(d.dictionary, w.word) AS stems
         FROM unnest($1::text[]) w (word) CROSS JOIN unnest($2::regdictionary[]) d (dictionary)
       ) lexized WHERE stems <> ARRAY[word]`,
      [words, this.dictionaries],
    );
    const stems = new Map<string, string[]>();
    const stopWords = new Set<string>();
    for (const { word, stems: found } of rows) {
      if (found.length === 0) stopWords.add(word);
      const own = fold(word);
      const others = found.map(fold).filter((stem) => stem !== own);
      stems.set(word, [...new Set([...(stems.get(word) ?? []), ...others])]);
    }
    return new Stems(stems, stopWords);
  }
}
