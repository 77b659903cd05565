import type { Client } from 'pg';
import type { Bench } from '../harness/bench.js';
import type { Varve } from '../harness/varve.js';
import { TimedRequests } from '../versioning/timed-requests.js';

/** How many different texts there are: a larger corpus has the same ones more often. */
const TEXTS = 10_000;
/** How many datasets the reader may read. */
export const READABLE = 100;

/** A server with so many datasets in its search index, filled by SQL. */
export interface Corpus {
  readonly datasets: number;
  readonly database: Client;
  readonly admin: TimedRequests;
  /** Speaks for somebody who may read `READABLE` of them. */
  readonly reader: TimedRequests;
  /** A word in about every 30th, every 100th and every 500th dataset. */
  readonly words: { readonly common: string; readonly usual: string; readonly rare: string };
}

const corpora = new WeakMap<Bench, Map<number, Promise<Corpus>>>();

/** A corpus, filled at its first use and shared by the measurements of a run. */
export function corpusOf(bench: Bench, datasets: number): Promise<Corpus> {
  const known = corpora.get(bench) ?? new Map<number, Promise<Corpus>>();
  corpora.set(bench, known);
  const corpus = known.get(datasets) ?? fill(bench, datasets);
  known.set(datasets, corpus);
  return corpus;
}

async function fill(bench: Bench, datasets: number): Promise<Corpus> {
  const varve = await bench.startVarve(`search-${datasets}`);
  const database = await varve.connectToDatabase();
  bench.defer(() => database.end());
  const user = await varve.call<{ id: number }>('POST', '/users', {
    name: 'reader',
    role: 'member',
  });
  const { key } = await varve.call<{ key: string }>('POST', '/api-keys', {
    name: 'bench',
    userId: user.id,
  });
  for (const statement of statements(datasets, user.id)) await database.query(statement);
  const { rows } = await database.query<{ word: string }>(
    'SELECT word FROM bench_words WHERE i IN (200, 900, 2500) ORDER BY i',
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
 * have these texts in turn. The indexes are made after the rows, as a restore does.
 */
function statements(datasets: number, reader: number): string[] {
  return [
    `ALTER TABLE datasets DISABLE TRIGGER USER; ALTER TABLE permissions DISABLE TRIGGER USER`,
    `CREATE TABLE bench_words AS
     SELECT i, s[1 + i % 40] || s[1 + (i / 40) % 40] || s[1 + (i / 1600) % 40] || s[1 + i % 7] AS word
     FROM generate_series(1, 5000) i, (
       SELECT array_agg(c || v ORDER BY c, v) s FROM unnest('{b,d,f,g,k,l,m,r}'::text[]) c,
         unnest('{a,e,i,o,u}'::text[]) v) syllables`,
    `SELECT setseed(0.5)`,
    `CREATE TABLE bench_texts AS
     SELECT t, string_agg(word, ' ') FILTER (WHERE n <= 3) AS title,
       string_agg(word, ' ') FILTER (WHERE n BETWEEN 4 AND 18) AS description,
       string_agg(word, ' ') FILTER (WHERE n > 18) AS readme
     FROM (SELECT t, n, floor(5000 ^ random())::integer AS i
       FROM generate_series(0, ${TEXTS - 1}) t, generate_series(1, 60) n) places
     JOIN bench_words USING (i) GROUP BY t`,
    `INSERT INTO datasets (name, description, metadata, created_by, created_at, updated_at)
     SELECT coalesce(title, 'untitled') || ' ' || n, coalesce(description, ''), '{"licence": "CC0"}',
       1, now() - n * interval '1 second', now() - n * interval '1 second'
     FROM generate_series(1, ${datasets}) n JOIN bench_texts ON t = n % ${TEXTS}`,
    `DROP INDEX search_documents_document, search_documents_title, search_documents_spelling,
       search_documents_tags`,
    `INSERT INTO search_documents (dataset_id, owner_id, folded_name, spelling, tags, file_types,
       file_count, total_size, created_at, updated_at, title, document)
     SELECT d.id, d.created_by, d.name, d.name, ARRAY['tag-' || d.id % 5, 'tag-' || d.id % 7],
       ARRAY[(ARRAY['csv', 'parquet', 'json'])[1 + d.id % 3]], 10, d.id, d.created_at, d.updated_at,
       setweight(to_tsvector('simple', d.name), 'A'),
       setweight(to_tsvector('simple', d.name), 'A')
         || setweight(to_tsvector('simple', d.description), 'B')
         || setweight(to_tsvector('simple', coalesce(readme, '')), 'D')
     FROM datasets d JOIN bench_texts ON t = substring(d.name FROM '\\d+$')::integer % ${TEXTS}`,
    `INSERT INTO search_texts (dataset_id, paths, file_types, columns, readme)
     SELECT d.id, string_to_array(bench_texts.description, ' '), '{csv}', '{}', coalesce(readme, '')
     FROM datasets d JOIN bench_texts ON t = substring(d.name FROM '\\d+$')::integer % ${TEXTS}`,
    `INSERT INTO search_words SELECT DISTINCT word, word FROM bench_words`,
    `CREATE INDEX search_documents_document ON search_documents USING gin (document)
       WITH (fastupdate = off)`,
    `CREATE INDEX search_documents_title ON search_documents USING gin (title)
       WITH (fastupdate = off)`,
    `CREATE INDEX search_documents_spelling ON search_documents USING gin (spelling gin_trgm_ops)
       WITH (fastupdate = off)`,
    `CREATE INDEX search_documents_tags ON search_documents USING gin (tags)
       WITH (fastupdate = off)`,
    `INSERT INTO permissions (resource_type, resource_id, user_id, permission_type, granted_by)
     SELECT 'dataset', id, ${reader}, 'read', 1 FROM datasets
     WHERE id % ${Math.max(1, Math.floor(datasets / READABLE))} = 0 LIMIT ${READABLE}`,
    `VACUUM ANALYZE`,
  ];
}
