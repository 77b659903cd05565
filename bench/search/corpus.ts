import type { Client } from 'pg';
import type { Bench } from '../harness/bench.js';
import type { Varve } from '../harness/varve.js';
import { TimedRequests } from '../versioning/timed-requests.js';
import { fill } from './filling.js';

/** How many different texts there are: a larger corpus has the same ones more often. */
const TEXTS = 10_000;
/** How many datasets the reader may read. */
export const READABLE = 100;
/** How many words are more frequent than those that are looked for. */
const RANKS = [20, 900, 2500];

/** A server with so many datasets in its search index, filled by SQL. */
export interface Corpus {
  readonly datasets: number;
  readonly database: Client;
  readonly admin: TimedRequests;
  /** Speaks for somebody who may read `READABLE` of them. */
  readonly reader: TimedRequests;
  /** A word in about every 3rd, every 150th and every 300th dataset. */
  readonly words: { readonly common: string; readonly usual: string; readonly rare: string };
}

const corpora = new WeakMap<Bench, Map<number, Promise<Corpus>>>();

/** A corpus, filled at its first use and shared by the measurements of a run. */
export function corpusOf(bench: Bench, datasets: number): Promise<Corpus> {
  const known = corpora.get(bench) ?? new Map<number, Promise<Corpus>>();
  corpora.set(bench, known);
  const corpus = known.get(datasets) ?? make(bench, datasets);
  known.set(datasets, corpus);
  return corpus;
}

async function make(bench: Bench, datasets: number): Promise<Corpus> {
  const varve = await bench.startVarve(`search-${datasets}`);
  const database = await varve.connectToDatabase({ asSuperuser: true });
  bench.defer(() => database.end());
  const user = await varve.call<{ id: number }>('POST', '/users', {
    name: 'reader',
    role: 'member',
  });
  const { key } = await varve.call<{ key: string }>('POST', '/api-keys', {
    name: 'bench',
    userId: user.id,
  });
  const tables = ['datasets', 'search_documents', 'search_texts', 'search_words', 'permissions'];
  await fill(database, tables, statements(datasets, user.id));
  const { rows } = await database.query<{ word: string }>(
    `SELECT word FROM bench_words WHERE i IN (${RANKS.join()}) ORDER BY i`,
  );
  const [common = '', usual = '', rare = ''] = rows.map(({ word }) => word);
  const admin = new TimedRequests(varve);
  const reader = new TimedRequests({ port: varve.port, head: headOf(varve, key) });
  bench.defer(() => {
    admin.close();
    reader.close();
  });
  return { datasets, database, admin, reader, words: { common, usual, rare } };
}

function headOf(varve: Varve, key: string): Varve['head'] {
  return (method, target, headers = {}) =>
    varve.head(method, target, { ...headers, Authorization: `Bearer ${key}` });
}

/**
 * Words of made-up syllables, as frequent as words are (Zipf); texts of 60 of them; datasets that
 * have these texts in turn. What the reader may read has one of the words that are looked for: who
 * finds next to nothing is asking for what may have been meant, which is another search.
 */
function statements(datasets: number, reader: number): string[] {
  return [
    // Reading is the same, and filling writes half as much.
    `ALTER TABLE search_texts SET UNLOGGED; ALTER TABLE search_documents SET UNLOGGED`,
    `CREATE TABLE bench_words AS
     SELECT i, s[1 + i % 40] || s[1 + (i / 40) % 40] || s[1 + (i / 1600) % 40] || s[1 + i % 7] AS word
     FROM generate_series(1, 5000) i, (
       SELECT array_agg(c || v ORDER BY c, v) s FROM unnest('{b,d,f,g,k,l,m,r}'::text[]) c,
         unnest('{a,e,i,o,u}'::text[]) v) syllables`,
    `SELECT setseed(0.5)`,
    `CREATE TABLE bench_texts AS
     SELECT t, title, description, readme, setweight(to_tsvector('simple', description), 'B')
       || setweight(to_tsvector('simple', readme), 'D') AS body
     FROM (
       SELECT t, coalesce(string_agg(word, ' ') FILTER (WHERE n <= 3), 'untitled') AS title,
         coalesce(string_agg(word, ' ') FILTER (WHERE n BETWEEN 4 AND 18), '') AS description,
         coalesce(string_agg(word, ' ') FILTER (WHERE n > 18), '') AS readme
       FROM (SELECT t, n, floor(5000 ^ random())::integer AS i
         FROM generate_series(0, ${TEXTS - 1}) t, generate_series(1, 60) n) places
       JOIN bench_words USING (i) GROUP BY t) texts`,
    `INSERT INTO datasets (id, name, description, metadata, created_by, created_at, updated_at)
     SELECT n, title || ' ' || n, description, '{"licence": "CC0"}',
       1, now() - n * interval '1 second', now() - n * interval '1 second'
     FROM generate_series(1, ${datasets}) n JOIN bench_texts ON t = n % ${TEXTS}`,
    `INSERT INTO search_documents (dataset_id, owner_id, folded_name, spelling, tags, file_types,
       file_count, total_size, created_at, updated_at, title, document)
     SELECT d.id, d.created_by, d.name, d.name, ARRAY['tag-' || d.id % 5, 'tag-' || d.id % 7],
       ARRAY[(ARRAY['csv', 'parquet', 'json'])[1 + d.id % 3]], 10, d.id, d.created_at, d.updated_at,
       head, head || body
     FROM datasets d JOIN bench_texts ON t = d.id % ${TEXTS},
       setweight(to_tsvector('simple', d.name), 'A') head`,
    `INSERT INTO search_texts (dataset_id, paths, file_types, columns, readme)
     SELECT d.id, string_to_array(bench_texts.description, ' '), '{csv}', '{}', readme
     FROM datasets d JOIN bench_texts ON t = d.id % ${TEXTS}`,
    `INSERT INTO search_words SELECT DISTINCT word, word FROM bench_words`,
    `INSERT INTO permissions (resource_type, resource_id, user_id, permission_type, granted_by)
     SELECT 'dataset', dataset_id, ${reader}, 'read', 1 FROM search_documents
     WHERE tags @> '{tag-1}' AND document @@ (SELECT string_agg(word, '|')::tsquery FROM bench_words
       WHERE i IN (${RANKS.slice(1).join()}))
     ORDER BY dataset_id LIMIT ${READABLE}`,
  ];
}
