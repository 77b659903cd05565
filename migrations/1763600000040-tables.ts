import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What is known of files as tables, and what datasets demand of them. */
export class Tables1763600000040 implements MigrationInterface {
  readonly name = 'Tables1763600000040';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      -- What reading all of a content has shown, once for each way of reading it. description is null
      -- for what is no table, and for what has a problem. json, not jsonb: it takes any text.
      CREATE TABLE table_contents (
        id serial PRIMARY KEY,
        file_id integer NOT NULL REFERENCES files ON DELETE CASCADE,
        reading text COLLATE "C" NOT NULL,
        description json,
        problem_code text,
        problem_detail text,
        captured_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT table_contents_unique UNIQUE (file_id, reading),
        CHECK (description IS NULL OR problem_code IS NULL)
      );

      -- The schema of each table that a version brought.
      CREATE TABLE dataset_schema_versions (
        id serial PRIMARY KEY,
        dataset_version_id integer NOT NULL REFERENCES dataset_versions ON DELETE CASCADE,
        component_name text COLLATE "C" NOT NULL,
        schema_json json NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT dataset_schema_versions_unique UNIQUE (dataset_version_id, component_name)
      );
      CREATE INDEX dataset_schema_versions_name
        ON dataset_schema_versions (component_name, dataset_version_id);

      -- How schemas may change, by patterns of paths.
      ALTER TABLE dataset_checks ADD COLUMN schema_rules jsonb NOT NULL DEFAULT '[]';
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE dataset_checks DROP COLUMN schema_rules;
      DROP TABLE dataset_schema_versions; DROP TABLE table_contents;
    `);
  }
}
