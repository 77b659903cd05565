import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What a commit leaves in the database, cut to what somebody reads. */
export class LeanerCommits1763600000100 implements MigrationInterface {
  readonly name = 'LeanerCommits1763600000100';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      -- Only ever looked for as a whole, and hardly two versions have the same one: its hash will do.
      DROP INDEX dataset_versions_digest;
      CREATE INDEX dataset_versions_digest ON dataset_versions USING hash (digest);

      -- Of what the server sets off by itself, perhaps many times a second, only failures stay listed.
      ALTER TABLE jobs ADD COLUMN is_transient boolean NOT NULL DEFAULT FALSE;
    `);
    await runner.query(CHANGES);
    await runner.query(`
      -- The document that the digest names says when, and the entry has a time of its own.
      ${auditVersions('created_at,committed_at,overlay_file_id')}
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ${auditVersions()}
      ALTER TABLE jobs DROP COLUMN is_transient;
      DROP INDEX dataset_versions_digest;
      CREATE INDEX dataset_versions_digest ON dataset_versions (dataset_id, digest);
    `);
  }
}

function auditVersions(...alsoIgnored: string[]): string {
  const ignored = ['lineage_id,lineage_depth,lineage_rows,snapshot_lineage_id', ...alsoIgnored];
  return `
    DROP TRIGGER audit ON dataset_versions;
    DROP TRIGGER audit_update ON dataset_versions;
    SELECT audit_table('dataset_versions', 'version', '{id}', 'dataset_id', 'created_by', '{}',
      '{${ignored.join(',')}}');`;
}

const CHANGES = `
  -- As before, but of a row that comes or goes what is null is not recorded.
  CREATE OR REPLACE FUNCTION audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
  DECLARE
    caller jsonb := nullif(current_setting('varve.caller', true), '')::jsonb;
    was jsonb; becomes jsonb; whole jsonb; said jsonb;
    secrets text[] := TG_ARGV[4]::text[];
    ignored text[] := TG_ARGV[5]::text[];
    named text;
  BEGIN
    IF TG_OP <> 'INSERT' THEN was := to_jsonb(OLD); END IF;
    IF TG_OP <> 'DELETE' THEN becomes := to_jsonb(NEW); END IF;
    whole := coalesce(becomes, was);
    SELECT string_agg(whole ->> part, '/' ORDER BY place) INTO named
      FROM unnest(TG_ARGV[1]::text[]) WITH ORDINALITY AS id (part, place);
    was := was - ignored; becomes := becomes - ignored;
    IF TG_OP = 'UPDATE' THEN
      SELECT jsonb_object_agg(key, was -> key), jsonb_object_agg(key, value) INTO was, becomes
        FROM jsonb_each(becomes) WHERE value IS DISTINCT FROM was -> key;
      IF becomes IS NULL THEN RETURN NULL; END IF;
    ELSE
      SELECT jsonb_object_agg(key, value) INTO said
        FROM jsonb_each(coalesce(becomes, was)) WHERE value <> 'null';
      IF TG_OP = 'INSERT' THEN becomes := said; ELSE was := said; END IF;
    END IF;
    IF cardinality(secrets) > 0 THEN
      -- That a secret changed is told; what it was or became is not.
      SELECT jsonb_object_agg(key, CASE WHEN key = ANY (secrets) AND value <> 'null'
        THEN '"(secret)"' ELSE value END) INTO was FROM jsonb_each(was);
      SELECT jsonb_object_agg(key, CASE WHEN key = ANY (secrets) AND value <> 'null'
        THEN '"(secret)"' ELSE value END) INTO becomes FROM jsonb_each(becomes);
    END IF;
    INSERT INTO audit_log (actor_id, key_id, request_id, address, operation, action,
      resource_type, resource_id, dataset_id, before, after)
    VALUES (
      coalesce((caller ->> 'userId')::integer, (whole ->> TG_ARGV[3])::integer),
      (caller ->> 'keyId')::integer, caller ->> 'requestId', caller ->> 'address',
      caller ->> 'operation',
      TG_ARGV[0] || CASE TG_OP WHEN 'INSERT' THEN '.created' WHEN 'UPDATE' THEN '.changed'
        ELSE '.deleted' END,
      TG_ARGV[0], named, (whole ->> TG_ARGV[2])::integer, was, becomes
    );
    RETURN NULL;
  END $$;`;
