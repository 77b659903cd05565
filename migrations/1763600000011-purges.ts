import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Contents that were taken out of every version of a dataset. */
export class Purges1763600000011 implements MigrationInterface {
  readonly name = 'Purges1763600000011';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      -- The notice is an artifact that stands in the content's place in every row that had it; what
      -- the content was like is kept here, for listings and to prove overlay documents.
      CREATE TABLE dataset_purges (
        id serial PRIMARY KEY,
        dataset_id integer NOT NULL REFERENCES datasets,
        content_hash char(64) NOT NULL,
        file_size bigint NOT NULL,
        file_type text,
        mime_type text NOT NULL,
        notice_file_id integer NOT NULL REFERENCES files,
        reason text NOT NULL,
        entries bigint NOT NULL DEFAULT 0,
        purged_by integer NOT NULL REFERENCES users,
        purged_at timestamptz NOT NULL DEFAULT now(),
        -- From here on the content may be added again; where it stood the notice stays.
        lifted_by integer REFERENCES users,
        lifted_at timestamptz,
        lift_reason text,
        CONSTRAINT dataset_purges_notice_unique UNIQUE (notice_file_id),
        CHECK ((lifted_at IS NULL) = (lifted_by IS NULL)),
        CHECK ((lifted_at IS NULL) = (lift_reason IS NULL))
      );
      CREATE INDEX dataset_purges_dataset ON dataset_purges (dataset_id, id);
      CREATE UNIQUE INDEX dataset_purges_in_force ON dataset_purges (dataset_id, content_hash)
        WHERE lifted_at IS NULL;

      -- Whether anything must be looked up when contents are added: read with the lock that adding
      -- takes anyway, so that it is never of before a purge that has just committed.
      ALTER TABLE datasets ADD COLUMN has_purges boolean NOT NULL DEFAULT FALSE;
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE datasets DROP COLUMN has_purges;
      DROP TABLE dataset_purges;
    `);
  }
}
