import { Inject, Injectable } from '@nestjs/common';
import { ACCESS_POLICY, type AccessPolicy } from '../core/contracts/access-policy.js';
import { UNIT_OF_WORK, type UnitOfWork } from '../core/contracts/unit-of-work.js';
import type { DatasetId } from '../core/ids.js';
import type { Principal } from '../core/principal.js';
import { DOCUMENTS, LIVING } from './dataset-search/search-statement.js';
import { fold } from './text/slots.js';
import { slipsAllowed, spellingOf, withinSlips } from './text/spelling.js';

/** Something to go on with what was typed so far. */
export interface Suggestion {
  readonly kind: 'dataset' | 'tag';
  readonly text: string;
  /** Of a dataset; null for a tag. */
  readonly datasetId: DatasetId | null;
  /** From 0 to 1; what begins with what was typed has more than what is only like it. */
  readonly score: number;
}

/**
 * How alike what was typed and some words of a name must be for their letters to be compared
 * (`word_similarity`, from 0 to 1): two letters swapped in a word of six leave that much.
 */
const LEAST_SIMILARITY = 0.4;
/** Trigrams of two letters say nothing: they are only taken for a beginning. */
const SHORTEST_SIMILAR = 3;
/** So many times as wanted are looked at: some are alike and yet no slip away. */
const SPARE = 4;
/** How many similar names are compared. */
const MOST_COMPARED = 1_000;

interface Row {
  readonly id: DatasetId;
  readonly name: string;
  readonly tags: readonly string[];
}

/** Suggests names and tags of datasets that the caller may read, and nothing else. */
@Injectable()
export class Suggestions {
  constructor(
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
    @Inject(ACCESS_POLICY) private readonly policy: AccessPolicy,
  ) {}

  async suggest(principal: Principal, q: string, limit: number): Promise<Suggestion[]> {
    const typed = fold(q.trim());
    const spelling = spellingOf(q);
    if (typed === '') return [];
    const readable = this.policy.readableDatasets(principal, 'd', 5);
    const from = `FROM ${DOCUMENTS} WHERE ${LIVING} AND (${readable.sql})`;
    const rows = await this.unitOfWork.read(async (tx) => {
      // For the session: an operator's threshold is no part of the statement, and nothing else here
      // goes by it.
      await tx.query(`SELECT set_config('pg_trgm.word_similarity_threshold', $1, FALSE)`, [
        String(LEAST_SIMILARITY),
      ]);
      return tx.query<Row>(
        `WITH begins AS (
           SELECT d.id, d.tags ${from}
             AND d.folded_name >= $1::text AND d.folded_name < $1::text || $2::text
           ORDER BY d.folded_name, d.id LIMIT $4
         ), alike AS (
           SELECT id, tags FROM (
             SELECT d.id, d.tags, word_similarity($3::text, d.spelling) AS similarity
             ${from} AND length($3::text) >= ${SHORTEST_SIMILAR} AND $3::text <% d.spelling
             LIMIT ${MOST_COMPARED}) compared
           ORDER BY similarity DESC, id LIMIT $4 * ${SPARE}
         )
         SELECT s.id, d.name, s.tags
         FROM (SELECT * FROM begins UNION SELECT * FROM alike) s JOIN datasets d ON d.id = s.id`,
        // The last character of all: what begins with the text comes before it.
        [typed, '\u{10ffff}', spelling, limit, ...readable.parameters],
      );
    });
    return suggestionsOf(rows, typed).slice(0, limit);
  }
}

/** The names and tags of the rows that are near to what was typed, the nearest first. */
function suggestionsOf(rows: readonly Row[], typed: string): Suggestion[] {
  const suggestions = new Map<string, Suggestion>();
  for (const { id, name, tags } of rows) {
    for (const tag of tags) {
      const score = nearness(tag, typed);
      if (score === null) continue;
      suggestions.set(`tag ${tag}`, { kind: 'tag', text: tag, datasetId: null, score });
    }
    const score = nearness(name, typed);
    if (score === null) continue;
    suggestions.set(`dataset ${id}`, { kind: 'dataset', text: name, datasetId: id, score });
  }
  return [...suggestions.values()].toSorted(
    (a, b) => b.score - a.score || (a.text < b.text ? -1 : 1) || 0,
  );
}

const BEGINS = 1;
const WORD_BEGINS = 0.9;
const LIKE = 0.7;

/** How near a name is to what was typed of it so far; null for not at all. */
function nearness(name: string, typed: string): number | null {
  const folded = fold(name);
  if (folded.startsWith(typed)) return BEGINS;
  const words = folded.split(/[^\p{L}\p{M}\p{N}]+/u);
  if (words.some((word) => word.startsWith(typed))) return WORD_BEGINS;
  const isLike = (word: string) =>
    [word, word.slice(0, typed.length)].some((part) =>
      withinSlips(typed, part, slipsAllowed(typed)),
    );
  return slipsAllowed(typed) > 0 && words.some(isLike) ? LIKE : null;
}
