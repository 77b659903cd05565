import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The series that events have recorded, each with its latest value. */
export class RecordedMetrics1763600000087 implements MigrationInterface {
  readonly name = 'RecordedMetrics1763600000087';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE recorded_metrics (
        name text COLLATE "C" NOT NULL,
        labels jsonb NOT NULL,
        kind text NOT NULL CHECK (kind IN ('gauge', 'counter')),
        value double precision NOT NULL,
        -- The event's time, by which the latest value is told; and when that came here.
        recorded_at timestamptz NOT NULL,
        seen_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (name, labels)
      );
      CREATE INDEX recorded_metrics_age ON recorded_metrics (seen_at);
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE recorded_metrics;');
  }
}
