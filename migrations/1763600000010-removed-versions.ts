import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Tombstones of versions, and the rules by which a dataset lets its history go. */
export class RemovedVersions1763600000010 implements MigrationInterface {
  readonly name = 'RemovedVersions1763600000010';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      -- What was removed at once, and why. The record is an artifact that says the same, with the
      -- number, the digest and the parents' digests of each version, for whoever has the storage alone.
      CREATE TABLE dataset_removals (
        id serial PRIMARY KEY,
        dataset_id integer NOT NULL REFERENCES datasets,
        cause text NOT NULL CHECK (cause IN ('deletion', 'retention')),
        record_file_id integer NOT NULL REFERENCES files,
        -- Null where the server did it by itself.
        removed_by integer REFERENCES users,
        removed_at timestamptz NOT NULL DEFAULT now(),
        -- When all that only these versions held had gone.
        swept_at timestamptz
      );
      CREATE INDEX dataset_removals_dataset ON dataset_removals (dataset_id, id);
      CREATE INDEX dataset_removals_unswept ON dataset_removals (dataset_id) WHERE swept_at IS NULL;
      CREATE INDEX dataset_removals_record ON dataset_removals (record_file_id);

      -- A removed version stays as a tombstone: its number, digest, parents and place. Of its rows
      -- those stay that a later version still reads, and its overlay document as long as they do.
      ALTER TABLE dataset_versions
        ADD COLUMN removal_id integer REFERENCES dataset_removals,
        ADD COLUMN removed_at timestamptz,
        DROP CONSTRAINT dataset_versions_status_check,
        DROP CONSTRAINT dataset_versions_committed_whole,
        DROP CONSTRAINT dataset_versions_draft_whole,
        ADD CONSTRAINT dataset_versions_status_check
          CHECK (status IN ('draft', 'committed', 'removed')),
        ADD CONSTRAINT dataset_versions_committed_whole CHECK (
          status = 'draft' OR (
            version_number IS NOT NULL AND committed_at IS NOT NULL AND digest IS NOT NULL
            AND lineage_id IS NOT NULL AND lineage_depth IS NOT NULL
            AND (overlay_file_id IS NOT NULL OR status = 'removed')
          )
        ),
        ADD CONSTRAINT dataset_versions_draft_whole CHECK (
          status <> 'draft' OR (draft_branch IS NOT NULL AND draft_touched_at IS NOT NULL)
        ),
        ADD CONSTRAINT dataset_versions_removed_whole CHECK (
          (status = 'removed') = (removal_id IS NOT NULL)
          AND (status = 'removed') = (removed_at IS NOT NULL)
        );
      CREATE INDEX dataset_versions_removed ON dataset_versions (dataset_id, id)
        WHERE status = 'removed';
      CREATE INDEX dataset_versions_removal ON dataset_versions (removal_id)
        WHERE removal_id IS NOT NULL;

      -- Deletions up to this number left no tombstone: a number that is missing there says nothing.
      ALTER TABLE datasets ADD COLUMN removals_known_after integer NOT NULL DEFAULT 0;
      UPDATE datasets SET removals_known_after = last_version_number;

      -- Which versions a dataset keeps besides those that are tagged; without a row, all.
      CREATE TABLE dataset_retention (
        dataset_id integer PRIMARY KEY REFERENCES datasets ON DELETE CASCADE,
        keep_last integer NOT NULL CHECK (keep_last >= 1),
        -- As it was given, such as 30d; null for no such rule.
        keep_younger_than text,
        keep_younger_than_ms bigint,
        set_by integer NOT NULL REFERENCES users,
        set_at timestamptz NOT NULL DEFAULT now(),
        CHECK ((keep_younger_than IS NULL) = (keep_younger_than_ms IS NULL))
      );
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP TABLE dataset_retention;
      ALTER TABLE datasets DROP COLUMN removals_known_after;
      DELETE FROM dataset_version_files e USING dataset_versions v
        WHERE v.id = e.version_id AND v.status = 'removed';
      ALTER TABLE dataset_versions
        DROP CONSTRAINT dataset_versions_status_check,
        DROP CONSTRAINT dataset_versions_committed_whole,
        DROP CONSTRAINT dataset_versions_draft_whole,
        DROP CONSTRAINT dataset_versions_removed_whole,
        DROP COLUMN removal_id, DROP COLUMN removed_at;
      DROP TABLE dataset_removals;
    `);
  }
}
