import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Stored contents, the holds that uploads have on them, and objects on their way out. */
export class Storage1763600000002 implements MigrationInterface {
  readonly name = 'Storage1763600000002';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE files (
        id serial PRIMARY KEY,
        storage_type text NOT NULL,
        file_type text,
        mime_type text NOT NULL,
        file_path text NOT NULL,
        file_size bigint NOT NULL CHECK (file_size >= 0),
        content_hash char(64) NOT NULL CONSTRAINT files_content_hash_unique UNIQUE,
        reference_count bigint NOT NULL DEFAULT 0 CHECK (reference_count >= 0),
        compression_type text,
        metadata jsonb NOT NULL DEFAULT '{}',
        created_at timestamptz NOT NULL DEFAULT now(),
        unreferenced_since timestamptz DEFAULT now(),
        damaged_at timestamptz,
        CONSTRAINT files_unreferenced_since_tells CHECK ((reference_count = 0) = (unreferenced_since IS NOT NULL))
      );
      CREATE INDEX files_unreferenced ON files (unreferenced_since, id) WHERE reference_count = 0;
      -- Tells which of the objects that a sweep comes by are named; small and cheap to add to.
      CREATE INDEX files_file_path ON files USING hash (file_path);
      
      -- An upload keeps its content for the uploader until it is used or the hold expires. It keeps
      -- what this uploader said of it, too: showing what an earlier one said would tell that the
      -- content had been there.
      CREATE TABLE upload_holds (
        file_id integer NOT NULL REFERENCES files,
        user_id integer NOT NULL REFERENCES users,
        file_type text,
        mime_type text NOT NULL,
        compression_type text,
        metadata jsonb NOT NULL DEFAULT '{}',
        created_at timestamptz NOT NULL DEFAULT now(),
        expires_at timestamptz NOT NULL,
        PRIMARY KEY (file_id, user_id)
      );
      CREATE INDEX upload_holds_expiry ON upload_holds (expires_at);
      
      -- Objects that no row of files names: the second phase of a deletion takes them away once due.
      -- Those without a content_hash are unfinished uploads or strangers; for them modified_at is what
      -- the storage said, to be compared with what it says when they are due.
      CREATE TABLE storage_deletions (
        object_key text PRIMARY KEY,
        content_hash char(64),
        size_bytes bigint NOT NULL,
        modified_at timestamptz,
        found_at timestamptz NOT NULL DEFAULT now(),
        due_at timestamptz NOT NULL
      );
      CREATE INDEX storage_deletions_due ON storage_deletions (due_at, object_key);
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP TABLE storage_deletions; DROP TABLE upload_holds; DROP TABLE files;
    `);
  }
}
