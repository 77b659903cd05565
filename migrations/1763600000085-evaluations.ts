import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What the evaluations that events tell of have come to, and how many there were. */
export class Evaluations1763600000085 implements MigrationInterface {
  readonly name = 'Evaluations1763600000085';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE evaluations (
        id text COLLATE "C" PRIMARY KEY,
        state text NOT NULL CHECK (state IN ('active', 'failed', 'completed')),
        retry_count integer NOT NULL DEFAULT 0,
        result_file_id integer REFERENCES files,
        changed_at timestamptz NOT NULL DEFAULT now()
      );
      CREATE INDEX evaluations_result ON evaluations (result_file_id)
        WHERE result_file_id IS NOT NULL;
      CREATE INDEX evaluations_active ON evaluations (id) WHERE state = 'active';
      CREATE INDEX evaluations_age ON evaluations (changed_at);

      -- How often each has come about, since the beginning: evaluations are forgotten, counts are not.
      CREATE TABLE evaluation_totals (
        outcome text PRIMARY KEY CHECK (outcome IN ('started', 'failed', 'completed')),
        total bigint NOT NULL DEFAULT 0
      );
      INSERT INTO evaluation_totals (outcome) VALUES ('started'), ('failed'), ('completed');
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE evaluation_totals; DROP TABLE evaluations;');
  }
}
