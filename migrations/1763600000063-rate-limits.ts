import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What replicas tell each other of how often somebody has called. */
export class RateLimits1763600000063 implements MigrationInterface {
  readonly name = 'RateLimits1763600000063';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      -- Unlogged: after a crash everybody starts anew, which is cheaper than writing it to the disk.
      CREATE UNLOGGED TABLE rate_usage (
        subject text COLLATE "C" NOT NULL,
        -- Seconds since 1970, by the database's clock.
        window_start bigint NOT NULL,
        used bigint NOT NULL,
        PRIMARY KEY (subject, window_start)
      );
      CREATE INDEX rate_usage_window ON rate_usage (window_start);
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TABLE rate_usage;`);
  }
}
