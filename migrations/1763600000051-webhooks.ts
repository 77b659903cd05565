import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Addresses that are told of events, and what was sent to each. */
export class Webhooks1763600000051 implements MigrationInterface {
  readonly name = 'Webhooks1763600000051';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      -- The secrets are sealed: each delivery is signed with them, and the database has no key.
      CREATE TABLE webhooks (
        id serial PRIMARY KEY,
        user_id integer NOT NULL REFERENCES users,
        url text NOT NULL,
        types text[] NOT NULL,
        subject text,
        description text NOT NULL DEFAULT '',
        secret bytea NOT NULL,
        previous_secret bytea,
        previous_secret_until timestamptz,
        created_at timestamptz NOT NULL DEFAULT now(),
        -- Since when every delivery has failed; null after one that succeeded.
        failing_since timestamptz,
        disabled_at timestamptz,
        disabled_reason text,
        CHECK ((disabled_at IS NULL) = (disabled_reason IS NULL))
      );
      CREATE INDEX webhooks_user ON webhooks (user_id, id);

      CREATE TABLE webhook_deliveries (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        webhook_id integer NOT NULL REFERENCES webhooks ON DELETE CASCADE,
        event_id uuid NOT NULL,
        event jsonb NOT NULL,
        state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'delivered', 'failed')),
        attempts integer NOT NULL DEFAULT 0,
        due_at timestamptz NOT NULL DEFAULT now(),
        -- Until when whoever sends it has it to itself.
        claimed_until timestamptz,
        last_status integer,
        last_error text,
        created_at timestamptz NOT NULL DEFAULT now(),
        ended_at timestamptz,
        CONSTRAINT webhook_deliveries_once UNIQUE (webhook_id, event_id),
        CHECK ((state = 'pending') = (ended_at IS NULL))
      );
      CREATE INDEX webhook_deliveries_due ON webhook_deliveries (due_at) WHERE state = 'pending';
      CREATE INDEX webhook_deliveries_log ON webhook_deliveries (webhook_id, id);
      CREATE INDEX webhook_deliveries_ended ON webhook_deliveries USING brin (ended_at);
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE webhook_deliveries; DROP TABLE webhooks;');
  }
}
