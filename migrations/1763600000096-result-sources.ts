import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Which contents the files were made of that jobs have made. */
export class ResultSources1763600000096 implements MigrationInterface {
  readonly name = 'ResultSources1763600000096';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      -- By hash, not by file: it is asked when the source is on its way out, or gone already.
      CREATE TABLE result_sources (
        file_id integer NOT NULL REFERENCES files ON DELETE CASCADE,
        dataset_id integer NOT NULL REFERENCES datasets ON DELETE CASCADE,
        source_hash char(64) NOT NULL,
        held_by integer NOT NULL REFERENCES users,
        PRIMARY KEY (file_id, dataset_id, source_hash, held_by)
      );
      CREATE INDEX result_sources_source ON result_sources (dataset_id, source_hash);
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE result_sources');
  }
}
