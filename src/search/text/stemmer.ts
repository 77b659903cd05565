import { Inject, Injectable } from '@nestjs/common';
import { LRUCache } from 'lru-cache';
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

/** So many words' stems are remembered: most of what is read and looked for is the same few words. */
const MAX_REMEMBERED = 20_000;

/** What the languages make of one word. */
interface Stemmed {
  readonly stems: readonly string[];
  readonly isStopWord: boolean;
}

/** Stems words with PostgreSQL's Snowball dictionaries, of all configured languages at once. */
@Injectable()
export class Stemmer {
  private readonly dictionaries: readonly string[];
  private readonly remembered = new LRUCache<string, Stemmed>({ max: MAX_REMEMBERED });

  constructor(@Inject(CONFIG) config: Pick<Config, 'SEARCH_LANGUAGES'>) {
    this.dictionaries = config.SEARCH_LANGUAGES.map((language) => `${language}_stem`);
  }

  async stem(tx: Reader, written: Iterable<string>): Promise<Stems> {
    if (this.dictionaries.length === 0) return Stems.NONE;
    const stems = new Map<string, readonly string[]>();
    const stopWords = new Set<string>();
    const add = (word: string, stemmed: Stemmed): void => {
      stems.set(word, stemmed.stems);
      if (stemmed.isStopWord) stopWords.add(word);
    };
    const unknown: string[] = [];
    for (const word of new Set(written)) {
      const known = this.remembered.get(word);
      if (known) add(word, known);
      else unknown.push(word);
    }
    for (const [word, stemmed] of await this.ask(tx, unknown)) {
      this.remembered.set(word, stemmed);
      add(word, stemmed);
    }
    return new Stems(stems, stopWords);
  }

  private async ask(tx: Reader, words: readonly string[]): Promise<Map<string, Stemmed>> {
    if (words.length === 0) return new Map();
    const rows = await tx.query<{ word: string; stems: string[] }>(
      `SELECT word, stems FROM (
         SELECT w.word, ts_lexize(d.dictionary, w.word) AS stems
         FROM unnest($1::text[]) w (word) CROSS JOIN unnest($2::regdictionary[]) d (dictionary)
       ) lexized WHERE stems <> ARRAY[word]`,
      [words, this.dictionaries],
    );
    const found = Map.groupBy(rows, ({ word }) => word);
    return new Map(
      words.map((word) => {
        const all = (found.get(word) ?? []).map(({ stems }) => stems);
        const others = all
          .flat()
          .map(fold)
          .filter((stem) => stem !== fold(word));
        const isStopWord = all.some((stems) => stems.length === 0);
        return [word, { stems: [...new Set(others)], isStopWord }];
      }),
    );
  }
}
