import { DatabaseError } from 'pg';
import { QueryFailedError, type MigrationInterface, type QueryRunner } from 'typeorm';

const NOT_INSTALLED =
  "which this PostgreSQL server does not have; install its contrib modules (Debian's postgresql has them, others call the package postgresql-contrib)";

/** What can be done about the failures of CREATE EXTENSION, by their SQLSTATE. */
const REMEDIES: Record<string, string> = {
  '42501':
    'which this user may not create; run "CREATE EXTENSION pg_trgm" in this database as its owner or a superuser',
  // Since PostgreSQL 15, and before.
  '0A000': NOT_INSTALLED,
  '58P01': NOT_INSTALLED,
};

/** What datasets are found by: derived from the other tables, and made anew from them at any time. */
export class Search1763600000070 implements MigrationInterface {
  readonly name = 'Search1763600000070';

  async up(runner: QueryRunner): Promise<void> {
    await createTrigrams(runner);
    await runner.query(`
      -- A dataset as searching sees it. Texts are folded and cut into words before they come here, so
      -- that no locale of the database has a say in it; title is what of document comes from the name
      -- and the tags. spelling is name and tags with one ASCII letter for each letter: pg_trgm sees no
      -- others in a database whose locale is C.
      CREATE TABLE search_documents (
        dataset_id integer PRIMARY KEY REFERENCES datasets ON DELETE CASCADE,
        owner_id integer NOT NULL,
        folded_name text COLLATE "C" NOT NULL,
        spelling text NOT NULL,
        tags text[] NOT NULL,
        file_types text[] NOT NULL,
        file_count bigint NOT NULL,
        total_size bigint NOT NULL,
        created_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL,
        title tsvector NOT NULL,
        document tsvector NOT NULL
      );
      -- Without a list of entries that wait to be sorted in, which every search would have to read.
      CREATE INDEX search_documents_document ON search_documents USING gin (document)
        WITH (fastupdate = off);
      CREATE INDEX search_documents_title ON search_documents USING gin (title)
        WITH (fastupdate = off);
      CREATE INDEX search_documents_spelling ON search_documents USING gin (spelling gin_trgm_ops)
        WITH (fastupdate = off);
      CREATE INDEX search_documents_tags ON search_documents USING gin (tags)
        WITH (fastupdate = off);
      CREATE INDEX search_documents_name ON search_documents (folded_name, dataset_id);
      CREATE INDEX search_documents_created_at ON search_documents (created_at, dataset_id);
      CREATE INDEX search_documents_updated_at ON search_documents (updated_at, dataset_id);
      CREATE INDEX search_documents_size ON search_documents (total_size, dataset_id);

      -- What highlights are cut from, and which contents it was read from. Apart from the documents,
      -- which stay narrow for the many that a search passes.
      CREATE TABLE search_texts (
        dataset_id integer PRIMARY KEY REFERENCES search_documents ON DELETE CASCADE,
        head_version_id integer,
        readme_file_id integer,
        paths text[] NOT NULL,
        file_types text[] NOT NULL,
        columns text[] NOT NULL,
        readme text NOT NULL
      );

      -- The words that typing errors may have been meant for.
      CREATE TABLE search_words (
        word text COLLATE "C" PRIMARY KEY,
        spelling text NOT NULL
      );
      CREATE INDEX search_words_spelling ON search_words USING gin (spelling gin_trgm_ops)
        WITH (fastupdate = off);

      -- The setting decides how alike the operator's two sides must be; here it holds for one call.
      CREATE FUNCTION search_similar_words(wanted text, threshold real, at_most integer)
      RETURNS SETOF text LANGUAGE plpgsql STABLE AS $body$
      BEGIN
        PERFORM set_config('pg_trgm.similarity_threshold', threshold::text, TRUE);
        RETURN QUERY SELECT w.word FROM search_words w WHERE w.spelling % wanted
          ORDER BY similarity(w.spelling, wanted) DESC, w.word LIMIT at_most;
      END $body$;

      -- Datasets whose document may be out of date. A revision that has grown while a document was
      -- made keeps the row here; a claim whose time has passed is no longer allowed to write.
      CREATE TABLE search_pending (
        dataset_id integer PRIMARY KEY,
        revision bigint NOT NULL DEFAULT 1,
        marked_at timestamptz NOT NULL DEFAULT now(),
        claim uuid,
        claimed_until timestamptz,
        failures integer NOT NULL DEFAULT 0
      );
      CREATE INDEX search_pending_order ON search_pending (marked_at, dataset_id);

      -- How the words of the index were made; where that is no longer how they are looked for, the
      -- index is made anew.
      CREATE TABLE search_state (
        id boolean PRIMARY KEY DEFAULT TRUE CHECK (id),
        analysis text NOT NULL
      );

      -- Where a content stands, by lineage: from there to the dataset without reading a version.
      DROP INDEX dataset_version_files_file;
      CREATE INDEX dataset_version_files_file
        ON dataset_version_files (file_id, lineage_id, version_id) WHERE file_id IS NOT NULL;
      -- The lineages that go on from a part of one: read through it, or begun as a copy of it.
      CREATE INDEX dataset_lineages_nearest
        ON dataset_lineages ((ancestor_lineages[1]), (ancestor_depths[1]));
      CREATE INDEX dataset_versions_snapshot_place ON dataset_versions (lineage_id, lineage_depth)
        WHERE snapshot_lineage_id IS NOT NULL;
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP INDEX dataset_versions_snapshot_place; DROP INDEX dataset_lineages_nearest;
      DROP INDEX dataset_version_files_file;
      CREATE INDEX dataset_version_files_file ON dataset_version_files (file_id)
        WHERE file_id IS NOT NULL;
      DROP FUNCTION search_similar_words; DROP TABLE search_state; DROP TABLE search_pending; DROP TABLE search_words;
      DROP TABLE search_texts; DROP TABLE search_documents;
    `);
  }
}

/**
 * Nothing is asked for where the extension is there already, whoever made it.
 * @throws Error that says what an operator has to do
 */
async function createTrigrams(runner: Pick<QueryRunner, 'query'>): Promise<void> {
  try {
    await runner.query('CREATE EXTENSION IF NOT EXISTS pg_trgm');
  } catch (cause) {
    const error = cause instanceof QueryFailedError ? (cause.driverError as unknown) : cause;
    const remedy = error instanceof DatabaseError ? REMEDIES[error.code ?? ''] : undefined;
    if (remedy === undefined) throw cause;
    throw new Error(`searching needs the extension pg_trgm, ${remedy}, and start again.`, {
      cause,
    });
  }
}
