import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What keys are limited to, passwords and the sessions they open, and identities from elsewhere. */
export class Identities1763600000062 implements MigrationInterface {
  readonly name = 'Identities1763600000062';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE api_keys ADD COLUMN scope text NOT NULL DEFAULT 'admin'
        CHECK (scope IN ('read', 'write', 'admin'));
      -- The audit's trigger names the columns that it watches.
      DROP TRIGGER audit ON api_keys; DROP TRIGGER audit_update ON api_keys;
      SELECT audit_table('api_keys', 'api-key', '{id}', '', '', '{secret_hash}', '{last_used_at}');

      CREATE TABLE passwords (
        user_id integer PRIMARY KEY REFERENCES users,
        -- argon2id, with its parameters and salt (PHC string format).
        hash text NOT NULL,
        changed_at timestamptz NOT NULL DEFAULT now()
      );
      SELECT audit_table('passwords', 'password', '{user_id}', '', '', '{hash}');

      -- Failures by the name that was tried, whether or not somebody is called so: what cannot be told
      -- apart here cannot be told apart outside. The name is a digest, for anything can be tried.
      CREATE TABLE login_attempts (
        name_hash char(64) PRIMARY KEY,
        failures integer NOT NULL,
        counts_until timestamptz NOT NULL
      );
      CREATE INDEX login_attempts_age ON login_attempts (counts_until);

      -- A login and all the tokens that came of it. Its refresh token is used once: one that comes
      -- again has been stolen, and ends the session.
      CREATE TABLE sessions (
        id serial PRIMARY KEY,
        user_id integer NOT NULL REFERENCES users,
        started_at timestamptz NOT NULL DEFAULT now(),
        expires_at timestamptz NOT NULL,
        ended_at timestamptz,
        ended_because text CHECK (ended_because IN ('logout', 'reuse', 'password'))
      );
      CREATE INDEX sessions_user ON sessions (user_id, id);
      CREATE INDEX sessions_expiry ON sessions (expires_at);
      SELECT audit_table('sessions', 'session', '{id}', '', 'user_id');
      CREATE TABLE session_tokens (
        token_hash char(64) PRIMARY KEY,
        session_id integer NOT NULL REFERENCES sessions ON DELETE CASCADE,
        kind text NOT NULL CHECK (kind IN ('access', 'refresh')),
        expires_at timestamptz NOT NULL,
        used_at timestamptz
      );
      CREATE INDEX session_tokens_session ON session_tokens (session_id);

      -- Whom an OpenID provider knows a user as.
      CREATE TABLE external_identities (
        issuer text NOT NULL,
        subject text NOT NULL,
        user_id integer NOT NULL REFERENCES users,
        created_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (issuer, subject)
      );
      CREATE INDEX external_identities_user ON external_identities (user_id);
      SELECT audit_table('external_identities', 'external-identity', '{issuer,subject}', '', 'user_id');
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP TABLE external_identities; DROP TABLE session_tokens; DROP TABLE sessions;
      DROP TABLE login_attempts; DROP TABLE passwords;
      DROP TRIGGER audit_update ON api_keys;
      ALTER TABLE api_keys DROP COLUMN scope;
      DROP TRIGGER audit ON api_keys;
      SELECT audit_table('api_keys', 'api-key', '{id}', '', '', '{secret_hash}', '{last_used_at}');
    `);
  }
}
