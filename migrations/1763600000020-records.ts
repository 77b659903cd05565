import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What has changed since it was last written to the storage as a record, and rebuilding from there. */
export class Records1763600000020 implements MigrationInterface {
  readonly name = 'Records1763600000020';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      -- Whose records in a storage are this database's. A rebuilt database takes over the origin of
      -- the one that was lost.
      CREATE TABLE record_origin (
        id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        is_only boolean NOT NULL DEFAULT TRUE UNIQUE CHECK (is_only)
      );
      INSERT INTO record_origin DEFAULT VALUES;

      -- Each row says that a transaction changed a subject. Rows are only added and taken away, so
      -- that nobody who changes anything waits for anybody here.
      CREATE TABLE record_changes (
        kind text NOT NULL,
        subject_id integer NOT NULL,
        transaction_id xid8 NOT NULL DEFAULT pg_current_xact_id(),
        PRIMARY KEY (kind, subject_id, transaction_id)
      );

      -- The sequence of a subject's newest record, and until when a replica has it to itself.
      CREATE TABLE storage_records (
        kind text NOT NULL,
        subject_id integer NOT NULL,
        sequence bigint NOT NULL,
        leased_until timestamptz,
        PRIMARY KEY (kind, subject_id)
      );

      -- While one is unfinished, no server starts on this database.
      CREATE TABLE rebuilds (
        origin uuid PRIMARY KEY,
        started_at timestamptz NOT NULL DEFAULT now(),
        finished_at timestamptz
      );
      -- Of a rebuild under way: the versions that records and overlay documents name. Those whose
      -- document has not been read yet have no number.
      CREATE TABLE rebuild_versions (
        dataset_id integer NOT NULL,
        digest char(64) NOT NULL,
        version_number integer,
        parents char(64)[],
        changes bigint,
        -- Of a version that was removed: the digest of the record that says so.
        removal char(64),
        PRIMARY KEY (dataset_id, digest)
      );
      CREATE INDEX rebuild_versions_number ON rebuild_versions (dataset_id, version_number);

      CREATE FUNCTION record_subject_changed() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        INSERT INTO record_changes (kind, subject_id)
        VALUES (TG_ARGV[0], CASE TG_OP WHEN 'DELETE' THEN OLD.id ELSE NEW.id END)
        ON CONFLICT DO NOTHING;
        RETURN NULL;
      END $$;

      -- For tables that belong to datasets: CREATE TRIGGER … EXECUTE FUNCTION record_dataset_changed().
      CREATE FUNCTION record_dataset_changed() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        INSERT INTO record_changes (kind, subject_id)
        VALUES ('dataset', CASE TG_OP WHEN 'DELETE' THEN OLD.dataset_id ELSE NEW.dataset_id END)
        ON CONFLICT DO NOTHING;
        RETURN NULL;
      END $$;

      -- For rows that belong to something else: its kind, and the column with its id.
      CREATE FUNCTION record_other_changed() RETURNS trigger LANGUAGE plpgsql AS $$
      DECLARE changed jsonb := CASE TG_OP WHEN 'DELETE' THEN to_jsonb(OLD) ELSE to_jsonb(NEW) END;
      BEGIN
        INSERT INTO record_changes (kind, subject_id)
        VALUES (TG_ARGV[0], (changed ->> TG_ARGV[1])::integer) ON CONFLICT DO NOTHING;
        RETURN NULL;
      END $$;

      CREATE TRIGGER users_recorded AFTER INSERT OR DELETE OR UPDATE OF name, role, disabled_at
        ON users FOR EACH ROW EXECUTE FUNCTION record_subject_changed('user');
      CREATE TRIGGER datasets_made_recorded AFTER INSERT OR DELETE ON datasets
        FOR EACH ROW EXECUTE FUNCTION record_subject_changed('dataset');
      -- A commit, which also moves a pointer, is told by that one alone.
      CREATE TRIGGER datasets_changed_recorded AFTER UPDATE OF name, description, metadata,
        created_by, default_branch, deleted_at, forgotten_at ON datasets
        FOR EACH ROW EXECUTE FUNCTION record_subject_changed('dataset');
      CREATE TRIGGER dataset_tags_recorded AFTER INSERT OR DELETE OR UPDATE ON dataset_tags
        FOR EACH ROW EXECUTE FUNCTION record_dataset_changed();
      CREATE TRIGGER dataset_checks_recorded AFTER INSERT OR DELETE OR UPDATE ON dataset_checks
        FOR EACH ROW EXECUTE FUNCTION record_dataset_changed();
      CREATE TRIGGER dataset_pointers_recorded AFTER INSERT OR DELETE OR UPDATE ON dataset_pointers
        FOR EACH ROW EXECUTE FUNCTION record_dataset_changed();
      CREATE TRIGGER dataset_deleted_branches_recorded AFTER INSERT OR DELETE
        ON dataset_deleted_branches FOR EACH ROW EXECUTE FUNCTION record_dataset_changed();
      CREATE TRIGGER dataset_versions_recorded AFTER DELETE ON dataset_versions
        FOR EACH ROW WHEN (OLD.status <> 'draft') EXECUTE FUNCTION record_dataset_changed();
      CREATE TRIGGER dataset_removals_recorded AFTER INSERT OR DELETE ON dataset_removals
        FOR EACH ROW EXECUTE FUNCTION record_dataset_changed();
      CREATE TRIGGER dataset_purges_recorded AFTER INSERT OR DELETE OR UPDATE OF lifted_at
        ON dataset_purges FOR EACH ROW EXECUTE FUNCTION record_dataset_changed();
      CREATE TRIGGER dataset_retention_recorded AFTER INSERT OR DELETE OR UPDATE
        ON dataset_retention FOR EACH ROW EXECUTE FUNCTION record_dataset_changed();

      INSERT INTO record_changes (kind, subject_id)
      SELECT 'dataset', id FROM datasets UNION ALL SELECT 'user', id FROM users;
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP FUNCTION record_subject_changed() CASCADE;
      DROP FUNCTION record_dataset_changed() CASCADE;
      DROP FUNCTION record_other_changed() CASCADE;
      DROP TABLE rebuild_versions; DROP TABLE rebuilds; DROP TABLE storage_records;
      DROP TABLE record_changes; DROP TABLE record_origin;
    `);
  }
}
