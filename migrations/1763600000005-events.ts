import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The log of what happened, which is also the outbox. */
export class Events1763600000005 implements MigrationInterface {
  readonly name = 'Events1763600000005';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      -- The outbox and the log in one. transaction_id tells a reader by position which events of
      -- transactions still running it has not seen yet.
      CREATE TABLE events (
        position bigserial PRIMARY KEY,
        id uuid NOT NULL CONSTRAINT events_id_unique UNIQUE DEFAULT gen_random_uuid(),
        type text COLLATE "C" NOT NULL,
        source text NOT NULL,
        subject text NOT NULL,
        data jsonb NOT NULL,
        correlation_id text,
        time timestamptz NOT NULL DEFAULT clock_timestamp(),
        transaction_id xid8 NOT NULL DEFAULT pg_current_xact_id(),
        -- Until when a relay has it to itself; where that has passed, the relay has died with it.
        claimed_until timestamptz,
        dispatched_at timestamptz
      );
      CREATE INDEX events_pending ON events (position) WHERE dispatched_at IS NULL;
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP TABLE events;
    `);
  }
}
