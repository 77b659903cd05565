import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Users and the keys that prove who they are. */
export class Access1763600000001 implements MigrationInterface {
  readonly name = 'Access1763600000001';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE users (
        id serial PRIMARY KEY,
        name text NOT NULL CONSTRAINT users_name_unique UNIQUE,
        role text NOT NULL CHECK (role IN ('admin', 'member')),
        created_at timestamptz NOT NULL DEFAULT now(),
        disabled_at timestamptz
      );
      
      CREATE TABLE api_keys (
        id serial PRIMARY KEY,
        user_id integer NOT NULL REFERENCES users,
        name text NOT NULL,
        prefix text NOT NULL,
        secret_hash char(64) NOT NULL CONSTRAINT api_keys_secret_hash_unique UNIQUE,
        created_at timestamptz NOT NULL DEFAULT now(),
        expires_at timestamptz,
        last_used_at timestamptz,
        revoked_at timestamptz,
        -- Made by the server's start, not by a request: the next one replaces it.
        is_bootstrap boolean NOT NULL DEFAULT false
      );
      CREATE INDEX api_keys_user ON api_keys (user_id, id);
      CREATE UNIQUE INDEX api_keys_bootstrap_unique ON api_keys (is_bootstrap)
        WHERE is_bootstrap AND revoked_at IS NULL;
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP TABLE api_keys; DROP TABLE users;
    `);
  }
}
