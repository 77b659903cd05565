import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Datasets and their tags. */
export class Datasets1763600000003 implements MigrationInterface {
  readonly name = 'Datasets1763600000003';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE datasets (
        id serial PRIMARY KEY,
        name text COLLATE "C" NOT NULL,
        description text NOT NULL DEFAULT '',
        metadata jsonb NOT NULL DEFAULT '{}',
        created_by integer NOT NULL REFERENCES users,
        default_branch text NOT NULL DEFAULT 'main',
        last_version_number integer NOT NULL DEFAULT 0,
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now(),
        deleted_at timestamptz,
        -- From here on its content is being let go, and restoring it is refused.
        forgotten_at timestamptz,
        CONSTRAINT datasets_forgotten_is_deleted CHECK (forgotten_at IS NULL OR deleted_at IS NOT NULL)
      );
      CREATE UNIQUE INDEX datasets_name_unique ON datasets (name, created_by) WHERE deleted_at IS NULL;
      CREATE INDEX datasets_created_by ON datasets (created_by, id);
      CREATE INDEX datasets_deleted ON datasets (deleted_at) WHERE deleted_at IS NOT NULL;
      -- The orders in which datasets are listed; the id makes each total.
      CREATE INDEX datasets_by_name ON datasets (name, id) WHERE deleted_at IS NULL;
      CREATE INDEX datasets_by_created_at ON datasets (created_at, id) WHERE deleted_at IS NULL;
      CREATE INDEX datasets_by_updated_at ON datasets (updated_at, id) WHERE deleted_at IS NULL;
      
      CREATE TABLE dataset_tags (
        dataset_id integer NOT NULL REFERENCES datasets ON DELETE CASCADE,
        tag_name text COLLATE "C" NOT NULL,
        PRIMARY KEY (dataset_id, tag_name)
      );
      CREATE INDEX dataset_tags_name ON dataset_tags (tag_name, dataset_id);
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP TABLE dataset_tags; DROP TABLE datasets;
    `);
  }
}
