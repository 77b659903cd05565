import { inMilliseconds } from '../harness/figures.js';
import { race, type Contestant } from '../harness/race.js';
import { corpusOf, READABLE, type Corpus } from './corpus.js';

const common = { rounds: 60, warmUps: 5, figure: inMilliseconds };

/** What is looked for in turn: one word, two words, a word in few datasets; each with filters. */
function queriesOf({ words }: Corpus): string[] {
  return [words.usual, `${words.common} ${words.usual}`, words.rare];
}

/** A letter wrong, so that no text has it. */
const mistypedOf = ({ words: { usual } }: Corpus) => `${usual.slice(0, -2)}x${usual.slice(-1)}`;

const FILTERS = 'tag=tag-1&createdAfter=2000-01-01T00:00:00Z';

const targetOf = (q: string) => `/search/datasets?${FILTERS}&q=${encodeURIComponent(q)}`;

/** With fewer matches a search goes on to what may have been meant: no longer the same work. */
const FEW = 5;
const WIDENED = `found fewer than ${FEW}`;

/** Takes turns through the queries; a figure is the time of all of them. */
function page(name: string, note: string, corpus: Corpus, who: 'admin' | 'reader'): Contestant {
  return {
    name,
    note,
    async run() {
      let seconds = 0;
      for (const q of queriesOf(corpus)) {
        const found = await corpus[who].get<{ totalCount: number }>(targetOf(q));
        if (found.body.totalCount < FEW && corpus.datasets >= 10_000) throw new Error(WIDENED);
        seconds += found.seconds;
      }
      return seconds;
    },
  };
}

const HTTP_NOTE =
  'three searches with filters for tag and date, over HTTP: highlights, count, facets';

/** The page over HTTP, and its time in the server, beside the bare query. */
export const pages = race('three search pages with filters', async (bench) => {
  const corpus = await corpusOf(bench, bench.quick ? 2_000 : 100_000);
  const inServer: Contestant = {
    name: 'Varve, in the server',
    note: 'the same requests, by the `queryTimeMs` that they answer',
    async run() {
      let milliseconds = 0;
      for (const q of queriesOf(corpus)) {
        const { body } = await corpus.admin.get<{ queryTimeMs: number }>(targetOf(q));
        milliseconds += body.queryTimeMs;
      }
      return milliseconds / 1000;
    },
  };
  const mistyped: Contestant = {
    name: 'Varve, a word mistyped',
    note: 'one search over HTTP for a word that nothing has, and so for those that may have been meant',
    run: async () => (await corpus.admin.get(targetOf(mistypedOf(corpus)))).seconds,
  };
  await makeHandmadeTable(corpus);
  const bare = bareQueries(
    corpus,
    'bare tsvector queries',
    'bench_documents',
    'the same words and filters in SQL on one connection: match, rank, the 20 best ids; in a table with an index for each column that is asked for',
  );
  const bareHere = bareQueries(
    corpus,
    "bare tsvector queries in Varve's index",
    'search_documents',
    'the same in the table that Varve searches, whose one index finds words and tags together',
  );
  const overHttp = page('Varve', HTTP_NOTE, corpus, 'admin');
  const reader = page(
    `somebody who may read ${READABLE}`,
    `${HTTP_NOTE}; of those ${READABLE} the searches find 20 to 70 each`,
    corpus,
    'reader',
  );
  const admin = page('an administrator', HTTP_NOTE, corpus, 'admin');
  return {
    ...common,
    contestants: [inServer, overHttp, bare, bareHere, reader, admin, mistyped],
    comparisons: [
      { contestant: inServer.name, against: bare.name, atMost: 2 },
      { contestant: overHttp.name, against: bare.name, atMost: 4 },
      { contestant: reader.name, against: admin.name, atMost: 1.5 },
      { contestant: inServer.name, against: bareHere.name, mark: true },
      { contestant: mistyped.name, against: bare.name, mark: true },
    ],
  };
});

/** What somebody would make by hand: a table with an index for each column that is asked for. */
async function makeHandmadeTable({ database }: Corpus): Promise<void> {
  for (const statement of [
    `CREATE TABLE bench_documents AS
     SELECT dataset_id, tags, created_at, document FROM search_documents`,
    `ALTER TABLE bench_documents ADD PRIMARY KEY (dataset_id)`,
    `CREATE INDEX ON bench_documents USING gin (document)`,
    `CREATE INDEX ON bench_documents USING gin (tags)`,
    `CREATE INDEX ON bench_documents (created_at)`,
    `VACUUM ANALYZE bench_documents`,
  ]) {
    await database.query(statement);
  }
}

function bareQueries(corpus: Corpus, name: string, table: string, note: string): Contestant {
  return {
    name,
    note,
    async run() {
      const started = performance.now();
      for (const q of queriesOf(corpus)) {
        await corpus.database.query(
          `SELECT dataset_id, ts_rank('{0.1, 0.25, 0.5, 1}', document, q) AS rank
           FROM ${table}, plainto_tsquery('simple', $1) q
           WHERE document @@ q AND tags @> ARRAY['tag-1'] AND created_at > '2000-01-01'
           ORDER BY rank DESC, dataset_id DESC LIMIT 20`,
          [q],
        );
      }
      return (performance.now() - started) / 1000;
    },
  };
}

/** The same searches in a small index and in one a hundred times as large. */
export const sizes = race('the same searches by size', async (bench) => {
  const small = await corpusOf(bench, bench.quick ? 1_000 : 10_000);
  const large = await corpusOf(bench, bench.quick ? 2_000 : 1_000_000);
  const contestants = [large, small].map((corpus) =>
    page(`${corpus.datasets.toLocaleString('en-US')} datasets`, HTTP_NOTE, corpus, 'admin'),
  );
  const [ours, theirs] = contestants as [Contestant, Contestant];
  return {
    ...common,
    contestants,
    comparisons: [{ contestant: ours.name, against: theirs.name, atMost: 5 }],
  };
});

/** Suggestions while a word is being typed, a letter wrong. */
export const suggestions = race('suggestions', async (bench) => {
  const corpus = await corpusOf(bench, bench.quick ? 2_000 : 100_000);
  const { usual, rare } = corpus.words;
  const typed = [usual.slice(0, 5), rare, mistypedOf(corpus)];
  const ours: Contestant = {
    name: 'Varve',
    note: 'three texts, over HTTP: names and tags by beginning and similarity',
    async run() {
      let seconds = 0;
      for (const q of typed) seconds += (await corpus.admin.get(`/search/suggest?q=${q}`)).seconds;
      return seconds;
    },
  };
  const bare: Contestant = {
    name: 'bare trigram queries',
    note: 'the same texts in SQL on one connection: the ten names most like each (`<%`, at 0.4)',
    async run() {
      await corpus.database.query('SET pg_trgm.word_similarity_threshold = 0.4');
      const started = performance.now();
      for (const q of typed) {
        await corpus.database.query(
          `SELECT dataset_id, spelling FROM search_documents WHERE $1 <% spelling
           ORDER BY word_similarity($1, spelling) DESC LIMIT 10`,
          [q],
        );
      }
      return (performance.now() - started) / 1000;
    },
  };
  return {
    ...common,
    contestants: [ours, bare],
    comparisons: [{ contestant: ours.name, against: bare.name, atMost: 2 }],
  };
});
