import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Groups of users, and what users and groups may do with datasets and files. */
export class Permissions1763600000060 implements MigrationInterface {
  readonly name = 'Permissions1763600000060';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE groups (
        id serial PRIMARY KEY,
        name text COLLATE "C" NOT NULL CONSTRAINT groups_name_unique UNIQUE,
        created_at timestamptz NOT NULL DEFAULT now()
      );
      CREATE TABLE group_members (
        group_id integer NOT NULL REFERENCES groups ON DELETE CASCADE,
        user_id integer NOT NULL REFERENCES users,
        added_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (group_id, user_id)
      );
      CREATE INDEX group_members_user ON group_members (user_id, group_id);

      -- What a user, a group or, where it names neither, everybody who is signed in may do.
      CREATE TABLE permissions (
        id serial PRIMARY KEY,
        resource_type text NOT NULL CHECK (resource_type IN ('dataset', 'file')),
        resource_id integer NOT NULL,
        user_id integer REFERENCES users,
        group_id integer REFERENCES groups ON DELETE CASCADE,
        permission_type text NOT NULL CHECK (permission_type IN ('read', 'write', 'admin')),
        rank smallint NOT NULL GENERATED ALWAYS AS (
          CASE permission_type WHEN 'read' THEN 1 WHEN 'write' THEN 2 ELSE 3 END
        ) STORED,
        granted_by integer NOT NULL REFERENCES users,
        granted_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT permissions_one_grantee CHECK (user_id IS NULL OR group_id IS NULL),
        CONSTRAINT permissions_everyone_reads_datasets CHECK (
          user_id IS NOT NULL OR group_id IS NOT NULL
          OR (permission_type = 'read' AND resource_type = 'dataset')
        )
      );
      -- A grantee has one grant on a dataset. On a file it may have one of each who shares it: its
      -- uploaders know nothing of each other.
      CREATE UNIQUE INDEX permissions_grant_unique ON permissions (
        resource_type, resource_id, coalesce(user_id, 0), coalesce(group_id, 0),
        (CASE resource_type WHEN 'file' THEN granted_by ELSE 0 END)
      );
      CREATE INDEX permissions_user ON permissions (user_id, resource_type, resource_id)
        WHERE user_id IS NOT NULL;
      CREATE INDEX permissions_group ON permissions (group_id, resource_type, resource_id)
        WHERE group_id IS NOT NULL;
      CREATE INDEX permissions_everyone ON permissions (resource_type, resource_id)
        WHERE user_id IS NULL AND group_id IS NULL;

      -- Who holds what, through whichever way: 1 to read, 2 to write, 3 to administer. The user 0
      -- is everybody who is signed in. Every check, list and count goes through this one view.
      CREATE VIEW resource_grants (resource_type, resource_id, user_id, rank) AS
        SELECT 'dataset', id, created_by, 3::smallint FROM datasets
        UNION ALL
        -- No condition of its own, or it could not be looked up by both: a NULL is no user anyway.
        SELECT resource_type, resource_id, user_id, rank FROM permissions
        UNION ALL
        SELECT p.resource_type, p.resource_id, m.user_id, p.rank
        FROM permissions p JOIN group_members m ON m.group_id = p.group_id
        WHERE p.group_id IS NOT NULL
        UNION ALL
        SELECT resource_type, resource_id, 0, rank FROM permissions
        WHERE user_id IS NULL AND group_id IS NULL;

      -- The resource has no foreign key, being one of two kinds: its grants go with it all the same.
      CREATE FUNCTION forget_grants() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        DELETE FROM permissions
        WHERE resource_type = TG_ARGV[0] AND resource_id IN (SELECT id FROM gone);
        RETURN NULL;
      END $$;
      CREATE TRIGGER files_forget_grants AFTER DELETE ON files
        REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION forget_grants('file');
      CREATE TRIGGER datasets_forget_grants AFTER DELETE ON datasets
        REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION forget_grants('dataset');

      -- What a rebuilt database shall know again.
      CREATE TRIGGER groups_recorded AFTER INSERT OR UPDATE OR DELETE ON groups
        FOR EACH ROW EXECUTE FUNCTION record_subject_changed('group');
      CREATE TRIGGER group_members_recorded AFTER INSERT OR UPDATE OR DELETE ON group_members
        FOR EACH ROW EXECUTE FUNCTION record_other_changed('group', 'group_id');
      CREATE TRIGGER permissions_given_recorded AFTER INSERT OR UPDATE ON permissions
        FOR EACH ROW WHEN (NEW.resource_type = 'dataset')
        EXECUTE FUNCTION record_other_changed('dataset', 'resource_id');
      CREATE TRIGGER permissions_taken_recorded AFTER DELETE ON permissions
        FOR EACH ROW WHEN (OLD.resource_type = 'dataset')
        EXECUTE FUNCTION record_other_changed('dataset', 'resource_id');
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP TRIGGER datasets_forget_grants ON datasets;
      DROP TRIGGER files_forget_grants ON files;
      DROP FUNCTION forget_grants;
      DROP VIEW resource_grants;
      DROP TABLE permissions; DROP TABLE group_members; DROP TABLE groups;
    `);
  }
}
