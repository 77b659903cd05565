import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Durable subscriptions, each with its position in the log, and what they could not handle. */
export class EventSubscriptions1763600000050 implements MigrationInterface {
  readonly name = 'EventSubscriptions1763600000050';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      -- A position is (transaction_id, position): everything before (the oldest running
      -- transaction, 0) is settled, so that what commits late is never passed by. attempts counts
      -- how often whoever holds the lease has begun where the position stands without having been
      -- able to say how it ended; generation tells a holder that has lost its lease from the next.
      CREATE TABLE event_subscriptions (
        name text COLLATE "C" PRIMARY KEY,
        pattern text NOT NULL,
        transaction_id xid8 NOT NULL DEFAULT pg_snapshot_xmin(pg_current_snapshot()),
        position bigint NOT NULL DEFAULT 0,
        generation bigint NOT NULL DEFAULT 0,
        holder text,
        lease_until timestamptz,
        attempts integer NOT NULL DEFAULT 0,
        created_at timestamptz NOT NULL DEFAULT now(),
        -- Kept up by whoever runs it: an abandoned one does not keep the log for ever.
        seen_at timestamptz NOT NULL DEFAULT now()
      ) WITH (fillfactor = 50);

      -- What a subscription has passed without having handled it: to be tried again at due_at,
      -- waiting for an earlier one of its subject (due_at is null), or given up. The event is
      -- copied, for the log forgets.
      CREATE TABLE event_deliveries (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        subscription text COLLATE "C" NOT NULL REFERENCES event_subscriptions ON DELETE CASCADE,
        transaction_id xid8 NOT NULL,
        position bigint NOT NULL,
        subject text NOT NULL,
        event jsonb NOT NULL,
        state text NOT NULL CHECK (state IN ('pending', 'dead')),
        attempts integer NOT NULL,
        due_at timestamptz,
        claimed_by bigint,
        last_error text,
        created_at timestamptz NOT NULL DEFAULT now(),
        died_at timestamptz,
        CONSTRAINT event_deliveries_once UNIQUE (subscription, transaction_id, position),
        CHECK ((state = 'dead') = (died_at IS NOT NULL))
      );
      CREATE INDEX event_deliveries_due ON event_deliveries (subscription, due_at)
        WHERE state = 'pending' AND due_at IS NOT NULL;
      CREATE INDEX event_deliveries_subject
        ON event_deliveries (subscription, subject, transaction_id, position)
        WHERE state = 'pending';
      CREATE INDEX event_deliveries_dead ON event_deliveries (id) WHERE state = 'dead';

      -- What handlers have done that do a thing once; written in the transaction that does it.
      CREATE TABLE handled_events (
        subscription text COLLATE "C" NOT NULL,
        event_id uuid NOT NULL,
        handled_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (subscription, event_id)
      );
      CREATE INDEX handled_events_age ON handled_events USING brin (handled_at);

      -- What the outbox had not told yet is where its one subscription begins.
      INSERT INTO event_subscriptions (name, pattern, transaction_id, position)
      SELECT 'storage.release-dataset', 'dataset.deleted', transaction_id, position - 1
      FROM events WHERE dispatched_at IS NULL ORDER BY transaction_id, position LIMIT 1;

      DROP INDEX events_pending;
      ALTER TABLE events DROP COLUMN claimed_until, DROP COLUMN dispatched_at;
      ALTER TABLE events DROP CONSTRAINT events_pkey;
      ALTER TABLE events ADD PRIMARY KEY (transaction_id, position);
      CREATE INDEX events_type ON events (type, transaction_id, position);
      CREATE INDEX events_subject ON events (subject, transaction_id, position);
      CREATE INDEX events_time ON events USING brin (time);
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP TABLE handled_events; DROP TABLE event_deliveries; DROP TABLE event_subscriptions;
      DROP INDEX events_time; DROP INDEX events_subject; DROP INDEX events_type;
      ALTER TABLE events DROP CONSTRAINT events_pkey;
      ALTER TABLE events ADD PRIMARY KEY (position);
      ALTER TABLE events ADD COLUMN claimed_until timestamptz,
        ADD COLUMN dispatched_at timestamptz DEFAULT now();
      ALTER TABLE events ALTER COLUMN dispatched_at DROP DEFAULT;
      CREATE INDEX events_pending ON events (position) WHERE dispatched_at IS NULL;
    `);
  }
}
