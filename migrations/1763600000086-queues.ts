import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The queues that events tell of: what waits in each, and what has gone through. */
export class Queues1763600000086 implements MigrationInterface {
  readonly name = 'Queues1763600000086';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE queue_totals (
        queue text COLLATE "C" PRIMARY KEY,
        depth bigint NOT NULL DEFAULT 0,
        added bigint NOT NULL DEFAULT 0,
        processed bigint NOT NULL DEFAULT 0,
        waits bigint NOT NULL DEFAULT 0,
        wait_seconds double precision NOT NULL DEFAULT 0,
        seen_at timestamptz NOT NULL DEFAULT now()
      );

      -- The half of a task that has been told: that it was added and waits, or that it was processed
      -- and the rest is still on its way. With the other half it goes.
      CREATE TABLE queue_tasks (
        queue text COLLATE "C" NOT NULL REFERENCES queue_totals ON DELETE CASCADE,
        task_id text COLLATE "C" NOT NULL,
        added_at timestamptz,
        processed_at timestamptz,
        noted_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (queue, task_id),
        CHECK ((added_at IS NULL) <> (processed_at IS NULL))
      );
      CREATE INDEX queue_tasks_age ON queue_tasks (noted_at);
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE queue_tasks; DROP TABLE queue_totals;');
  }
}
