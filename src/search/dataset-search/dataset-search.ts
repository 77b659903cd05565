import { Inject, Injectable } from '@nestjs/common';
import { ACCESS_POLICY, type AccessPolicy } from '../../core/contracts/access-policy.js';
import { UNIT_OF_WORK, type Reader, type UnitOfWork } from '../../core/contracts/unit-of-work.js';
import type { DatasetId } from '../../core/ids.js';
import type { Principal } from '../../core/principal.js';
import { Highlighter } from '../text/highlight.js';
import { parseQuery, type Term } from '../text/query.js';
import { Stemmer, type Stems } from '../text/stemmer.js';
import { significant, tsQueryOf, type Meanings } from '../text/ts-query.js';
import {
  fieldsToSearch,
  matchedFields,
  readHits,
  type FieldMatch,
  type FieldTexts,
  type Hit,
} from './hits.js';
import type { Reading, SearchCursor, SearchFilter } from './search-filter.js';
import {
  MOST_MATCHES,
  searchStatement,
  type FacetCount,
  type FoundMatches,
  type SearchPage,
  type Wanted,
} from './search-statement.js';
import { meaningsOf } from './word-meanings.js';

/** With fewer matches than this, what was typed may have been meant otherwise. */
const FEW = 5;

export interface FoundDataset {
  readonly hit: Hit;
  /** From 0 to 1; 0 where no words were looked for. */
  readonly score: number;
  readonly matched: readonly FieldMatch[];
}

export interface SearchResult {
  readonly datasets: readonly FoundDataset[];
  readonly next: SearchCursor | null;
  readonly total: number;
  /** Whether there are no more than `total`. */
  readonly totalIsExact: boolean;
  readonly facets: Readonly<Record<'tags' | 'fileTypes' | 'owners', readonly FacetCount[]>>;
}

/** What was typed, understood. */
interface Understood {
  readonly terms: readonly Term[];
  readonly stems: Stems;
  readonly meanings: Meanings;
  readonly wanted: Wanted;
}

const NO_MEANINGS: Meanings = new Map();

/** Finds datasets by words, among those that the caller may read. */
@Injectable()
export class DatasetSearch {
  constructor(
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
    @Inject(ACCESS_POLICY) private readonly policy: AccessPolicy,
    private readonly stemmer: Stemmer,
  ) {}

  /** @throws InvalidInput for too many words */
  async search(
    principal: Principal,
    q: string | undefined,
    filter: SearchFilter,
    page: SearchPage,
  ): Promise<SearchResult> {
    const terms = q === undefined ? null : parseQuery(q);
    // Something was typed, and it has no word in it: nothing matches that.
    if (terms?.length === 0) return EMPTY;
    return this.unitOfWork.read(async (tx) => {
      const find = (wanted: Wanted | null) => this.find(tx, principal, wanted, filter, page);
      if (!terms) return this.result(tx, null, 'exact', await find(null), page);
      const typed = await this.understand(tx, terms);
      const reading = page.after?.[1];
      if (reading !== 'similar') {
        const found = await find(typed.wanted);
        // Decided by what the caller may read alone, so that it tells nothing of the rest; and once
        // for all pages.
        if (reading === 'exact' || found.total >= FEW) {
          return this.result(tx, typed, 'exact', found, page);
        }
        const meant = await this.widen(tx, typed);
        if (meant === typed) return this.result(tx, typed, 'exact', found, page);
        return this.result(tx, meant, 'similar', await find(meant.wanted), page);
      }
      const meant = await this.widen(tx, typed);
      return this.result(tx, meant, 'similar', await find(meant.wanted), page);
    });
  }

  private async understand(tx: Reader, typed: readonly Term[]): Promise<Understood> {
    const words = typed.flatMap(({ rows }) => rows.flat());
    const stems = await this.stemmer.stem(
      tx,
      words.filter(({ gram }) => !gram).map(({ written }) => written),
    );
    const terms = significant(typed, stems);
    const query = tsQueryOf(terms, stems, NO_MEANINGS);
    return { terms, stems, meanings: NO_MEANINGS, wanted: { query, exact: query } };
  }

  /** Adds what the words may have been meant for; the same again where there is nothing. */
  private async widen(tx: Reader, typed: Understood): Promise<Understood> {
    const meanings = await meaningsOf(tx, typed.terms);
    if (meanings.size === 0) return typed;
    const query = tsQueryOf(typed.terms, typed.stems, meanings);
    return { ...typed, meanings, wanted: { query, exact: typed.wanted.exact } };
  }

  private async find(
    tx: Reader,
    principal: Principal,
    wanted: Wanted | null,
    filter: SearchFilter,
    page: SearchPage,
  ): Promise<FoundMatches> {
    const read = async (broad: boolean): Promise<FoundMatches> => {
      const { sql, parameters } = searchStatement(
        wanted,
        filter,
        page,
        (firstParameter) => this.policy.readableDatasets(principal, 'd', firstParameter),
        broad,
      );
      const [found] = await tx.query<FoundMatches>(sql, parameters);
      if (!found) throw new Error('A search gave nothing at all');
      return found;
    };
    const found = await read(false);
    const more = wanted !== null && page.sort === 'relevance' && found.total > MOST_MATCHES;
    return more ? read(true) : found;
  }

  private async result(
    tx: Reader,
    typed: Understood | null,
    reading: Reading,
    found: FoundMatches,
    { sort, limit }: SearchPage,
  ): Promise<SearchResult> {
    const shown = found.page.slice(0, limit - 1);
    const last = shown.at(-1);
    const hits = await readHits(
      tx,
      shown.map(({ id }) => id),
      typed !== null,
    );
    const matchedIn = typed ? await this.matched(tx, typed, hits) : NO_MATCHES;
    return {
      datasets: shown.flatMap(({ id, key }) => {
        const hit = hits.get(id);
        if (!hit) return [];
        const score = typed && sort === 'relevance' ? Number(key) : 0;
        return [{ hit, score, matched: matchedIn.get(id) ?? [] }];
      }),
      next: last && found.page.length === limit ? [sort, reading, last.key, last.id] : null,
      total: Math.min(found.total, MOST_MATCHES),
      totalIsExact: found.total <= MOST_MATCHES,
      facets: { tags: found.tags, fileTypes: found.fileTypes, owners: found.owners },
    };
  }

  /** Where each hit has what was looked for. */
  private async matched(
    tx: Reader,
    { terms, stems, meanings }: Understood,
    hits: ReadonlyMap<DatasetId, Hit>,
  ): Promise<ReadonlyMap<DatasetId, FieldMatch[]>> {
    const highlighter = new Highlighter(terms, stems, meanings);
    const fields = [...hits].map(([id, hit]): [DatasetId, FieldTexts[]] => [
      id,
      fieldsToSearch(hit, highlighter),
    ]);
    const words = new Set<string>();
    for (const { texts } of fields.flatMap(([, each]) => each)) {
      for (const word of highlighter.candidates(texts.join('\n'))) words.add(word);
    }
    const found = await this.stemmer.stem(tx, words);
    return new Map(fields.map(([id, each]) => [id, matchedFields(each, highlighter, found)]));
  }
}

const NO_MATCHES: ReadonlyMap<DatasetId, FieldMatch[]> = new Map();

const EMPTY: SearchResult = {
  datasets: [],
  next: null,
  total: 0,
  totalIsExact: true,
  facets: { tags: [], fileTypes: [], owners: [] },
};
