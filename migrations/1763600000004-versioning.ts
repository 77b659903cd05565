import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Versions as overlays on lineages, and the pointers that name them. */
export class Versioning1763600000004 implements MigrationInterface {
  readonly name = 'Versioning1763600000004';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      -- A line of versions in which each continues the one before. What a version on it holds is
      -- the newest of: the lineage's own rows up to the version's depth, its base, and then the
      -- same of each ancestor (ancestor_lineages[i] up to ancestor_depths[i]), the nearest first.
      -- ancestor_rows[i] is how many rows that ancestor adds to reading. origin_version_id is the
      -- version that the lineage grew from: its history goes on there.
      CREATE TABLE dataset_lineages (
        id serial PRIMARY KEY,
        dataset_id integer NOT NULL REFERENCES datasets,
        origin_version_id integer,
        ancestor_lineages integer[] NOT NULL DEFAULT '{}',
        ancestor_depths integer[] NOT NULL DEFAULT '{}',
        ancestor_rows bigint[] NOT NULL DEFAULT '{}',
        base_rows bigint NOT NULL DEFAULT 0,
        CHECK (cardinality(ancestor_lineages) = cardinality(ancestor_depths)),
        CHECK (cardinality(ancestor_lineages) = cardinality(ancestor_rows))
      );
      CREATE INDEX dataset_lineages_dataset ON dataset_lineages (dataset_id);

      CREATE TABLE dataset_versions (
        id serial PRIMARY KEY,
        dataset_id integer NOT NULL REFERENCES datasets,
        version_number integer,
        status text NOT NULL CHECK (status IN ('draft', 'committed')),
        parent_version_id integer REFERENCES dataset_versions,
        merge_parent_id integer REFERENCES dataset_versions,
        message text NOT NULL DEFAULT '',
        created_by integer NOT NULL REFERENCES users,
        created_at timestamptz NOT NULL DEFAULT now(),
        committed_at timestamptz,
        overlay_file_id integer REFERENCES files,
        digest char(64),
        file_count bigint NOT NULL DEFAULT 0,
        total_size bigint NOT NULL DEFAULT 0,
        -- Where its overlay lies, and how many rows its own lineage adds to reading it.
        lineage_id integer REFERENCES dataset_lineages,
        lineage_depth integer,
        lineage_rows bigint NOT NULL DEFAULT 0,
        -- Of a draft: the branch that it is to be committed to, when it was last changed, and, for the
        -- scratch of an archive that is still being received, the draft that it goes into.
        draft_branch text COLLATE "C",
        draft_touched_at timestamptz,
        draft_of integer REFERENCES dataset_versions ON DELETE CASCADE,
        -- A lineage that starts with all that the version holds: it and its children are read there.
        snapshot_lineage_id integer REFERENCES dataset_lineages,
        CONSTRAINT dataset_versions_number_unique UNIQUE (dataset_id, version_number),
        CONSTRAINT dataset_versions_lineage_unique UNIQUE (lineage_id, lineage_depth),
        CONSTRAINT dataset_versions_committed_whole CHECK (
          status = 'draft' OR (
            version_number IS NOT NULL AND committed_at IS NOT NULL AND overlay_file_id IS NOT NULL
            AND digest IS NOT NULL AND lineage_id IS NOT NULL AND lineage_depth IS NOT NULL
          )
        ),
        CONSTRAINT dataset_versions_draft_whole CHECK (
          status = 'committed' OR (draft_branch IS NOT NULL AND draft_touched_at IS NOT NULL)
        )
      );
      CREATE INDEX dataset_versions_drafts ON dataset_versions (draft_touched_at)
        WHERE status = 'draft';
      CREATE INDEX dataset_versions_draft_of ON dataset_versions (draft_of)
        WHERE draft_of IS NOT NULL;
      ALTER TABLE dataset_lineages ADD CONSTRAINT dataset_lineages_origin
        FOREIGN KEY (origin_version_id) REFERENCES dataset_versions ON DELETE SET NULL;
      CREATE INDEX dataset_lineages_origin ON dataset_lineages (origin_version_id)
        WHERE origin_version_id IS NOT NULL;
      CREATE INDEX dataset_versions_parent ON dataset_versions (parent_version_id);
      CREATE INDEX dataset_versions_merge_parent ON dataset_versions (merge_parent_id)
        WHERE merge_parent_id IS NOT NULL;
      CREATE INDEX dataset_versions_digest ON dataset_versions (dataset_id, digest);
      CREATE INDEX dataset_versions_overlay ON dataset_versions (overlay_file_id);
      CREATE INDEX dataset_versions_snapshot ON dataset_versions (snapshot_lineage_id)
        WHERE snapshot_lineage_id IS NOT NULL;

      -- A version's overlay. file_id is null where the path is removed. Names compare by the bytes
      -- of their UTF-8. lineage_id has no foreign key of its own: it is the version's, and a check
      -- per row would cost a large commit a fifth of its time.
      CREATE TABLE dataset_version_files (
        version_id integer NOT NULL REFERENCES dataset_versions,
        component_name text COLLATE "C" NOT NULL,
        file_id integer REFERENCES files,
        component_type text NOT NULL DEFAULT 'file',
        component_index integer,
        metadata jsonb,
        lineage_id integer,
        lineage_depth integer,
        PRIMARY KEY (version_id, component_name)
      );
      CREATE INDEX dataset_version_files_lineage
        ON dataset_version_files (lineage_id, component_name, lineage_depth DESC);
      CREATE INDEX dataset_version_files_file ON dataset_version_files (file_id)
        WHERE file_id IS NOT NULL;

      -- The base of a lineage: what older lineages amount to, copied so that reading need not wade
      -- through what they removed or rewrote. Derived from overlays, which hold the references: so
      -- file_id carries no foreign key and is not counted.
      CREATE TABLE dataset_lineage_files (
        lineage_id integer NOT NULL,
        component_name text COLLATE "C" NOT NULL,
        file_id integer,
        component_type text NOT NULL DEFAULT 'file',
        component_index integer,
        metadata jsonb,
        PRIMARY KEY (lineage_id, component_name)
      );

      CREATE TABLE dataset_pointers (
        id serial PRIMARY KEY,
        dataset_id integer NOT NULL REFERENCES datasets,
        pointer_name text COLLATE "C" NOT NULL,
        dataset_version_id integer REFERENCES dataset_versions,
        is_tag boolean NOT NULL,
        -- Only merges move a protected branch.
        is_protected boolean NOT NULL DEFAULT FALSE,
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT dataset_pointers_name_unique UNIQUE (dataset_id, pointer_name),
        CONSTRAINT dataset_pointers_tag_points CHECK (NOT is_tag OR dataset_version_id IS NOT NULL)
      );
      CREATE INDEX dataset_pointers_version ON dataset_pointers (dataset_version_id);

      -- What a dataset demands of its versions.
      CREATE TABLE dataset_checks (
        dataset_id integer PRIMARY KEY REFERENCES datasets ON DELETE CASCADE,
        rules jsonb NOT NULL
      );

      -- Deleted branches can be restored for as long as their versions are kept; they keep none.
      CREATE TABLE dataset_deleted_branches (
        id serial PRIMARY KEY,
        dataset_id integer NOT NULL REFERENCES datasets,
        pointer_name text COLLATE "C" NOT NULL,
        dataset_version_id integer REFERENCES dataset_versions ON DELETE CASCADE,
        deleted_at timestamptz NOT NULL DEFAULT now()
      );
      CREATE INDEX dataset_deleted_branches_name
        ON dataset_deleted_branches (dataset_id, pointer_name, id DESC);
      CREATE INDEX dataset_deleted_branches_version
        ON dataset_deleted_branches (dataset_version_id);
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP TABLE dataset_checks; DROP TABLE dataset_deleted_branches; DROP TABLE dataset_pointers; DROP TABLE dataset_lineage_files; DROP TABLE dataset_version_files;
      ALTER TABLE dataset_lineages DROP CONSTRAINT dataset_lineages_origin;
      DROP TABLE dataset_versions; DROP TABLE dataset_lineages;
    `);
  }
}
