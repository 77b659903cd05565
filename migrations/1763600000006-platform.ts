import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What the platform remembers: answers to repeat, jobs and who does them. */
export class Platform1763600000006 implements MigrationInterface {
  readonly name = 'Platform1763600000006';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      -- The first answer to a POST that carried an Idempotency-Key.
      CREATE TABLE idempotency_keys (
        user_id integer NOT NULL REFERENCES users,
        key text NOT NULL,
        fingerprint char(64) NOT NULL,
        status integer,
        headers jsonb,
        -- json, not jsonb: the answer is given again with its members in the same order.
        body json,
        created_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (user_id, key)
      );
      CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);
      
      -- What users see of a job. graphile_worker's job queue_job_id does the picking up and the
      -- retrying; attempts is its count, and tells a run from one that took over after it.
      CREATE TABLE jobs (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        seq bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT jobs_seq_unique UNIQUE,
        kind text NOT NULL,
        job_key text,
        payload jsonb NOT NULL,
        state text NOT NULL DEFAULT 'queued'
          CHECK (state IN ('queued', 'running', 'completed', 'failed', 'cancelled')),
        progress_percent smallint NOT NULL DEFAULT 0 CHECK (progress_percent BETWEEN 0 AND 100),
        progress_message text NOT NULL DEFAULT '',
        attempts smallint NOT NULL DEFAULT 0,
        max_attempts smallint NOT NULL CHECK (max_attempts >= 1),
        queue_job_id bigint CONSTRAINT jobs_queue_job_unique UNIQUE,
        result jsonb,
        error text,
        correlation_id text,
        created_by integer REFERENCES users,
        created_at timestamptz NOT NULL DEFAULT now(),
        run_after timestamptz NOT NULL DEFAULT now(),
        started_at timestamptz,
        finished_at timestamptz,
        CONSTRAINT jobs_finished_tells CHECK (
          (state IN ('completed', 'failed', 'cancelled')) = (finished_at IS NOT NULL)
        )
      );
      CREATE UNIQUE INDEX jobs_key_queued ON jobs (kind, job_key)
        WHERE state = 'queued' AND job_key IS NOT NULL;
      CREATE INDEX jobs_state ON jobs (state, seq);
      CREATE INDEX jobs_created_by ON jobs (created_by, seq);
      CREATE INDEX jobs_finished ON jobs (finished_at) WHERE finished_at IS NOT NULL;

      -- Who picks jobs up. Where the heartbeat has stopped, others take the jobs over.
      CREATE TABLE job_workers (
        id text PRIMARY KEY,
        heartbeat_at timestamptz NOT NULL DEFAULT now()
      );
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP TABLE job_workers; DROP TABLE jobs; DROP TABLE idempotency_keys;
    `);
  }
}
