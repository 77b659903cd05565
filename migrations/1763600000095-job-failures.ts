import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Whether those who wait for a job have been told that it failed. */
export class JobFailures1763600000095 implements MigrationInterface {
  readonly name = 'JobFailures1763600000095';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      -- What failed before there was anything to tell has been told.
      ALTER TABLE jobs ADD COLUMN failure_told boolean NOT NULL DEFAULT true;
      ALTER TABLE jobs ALTER COLUMN failure_told SET DEFAULT false;
      CREATE INDEX jobs_failure_untold ON jobs (kind, seq) WHERE state = 'failed' AND NOT failure_told;
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE jobs DROP COLUMN failure_told');
  }
}
