import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The record of every change and every refusal: append-only, and chained by hashes. */
export class Audit1763600000061 implements MigrationInterface {
  readonly name = 'Audit1763600000061';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(TABLES);
    await runner.query(CHANGES);
    await runner.query(CHAIN);
    await runner.query(AUDITED);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP FUNCTION trim_audit_log; DROP FUNCTION seal_audit_log; DROP FUNCTION audit_digest;
      DROP TABLE audit_log CASCADE; DROP TABLE audit_trims;
      DROP FUNCTION audit_table CASCADE; DROP FUNCTION audit_change CASCADE;
      DROP FUNCTION keep_audit_log CASCADE;
    `);
  }
}

const TABLES = `
  CREATE TABLE audit_log (
    id bigserial PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor_id integer,
    key_id integer,
    request_id text,
    address text,
    operation text,
    outcome text NOT NULL DEFAULT 'done' CHECK (outcome IN ('done', 'refused')),
    action text COLLATE "C" NOT NULL,
    resource_type text,
    resource_id text,
    dataset_id integer,
    before jsonb,
    after jsonb,
    -- Its place in the chain: given a moment later, in batches, so that writers never wait for each
    -- other at the end of the chain.
    seq bigint CONSTRAINT audit_log_seq_unique UNIQUE,
    previous_hash bytea,
    hash bytea,
    CONSTRAINT audit_log_sealed_whole CHECK (
      (seq IS NULL) = (hash IS NULL) AND (seq IS NULL) = (previous_hash IS NULL)
    )
  );
  CREATE INDEX audit_log_unsealed ON audit_log (id) WHERE seq IS NULL;
  CREATE INDEX audit_log_actor ON audit_log (actor_id, id) WHERE actor_id IS NOT NULL;
  CREATE INDEX audit_log_dataset ON audit_log (dataset_id, id) WHERE dataset_id IS NOT NULL;
  CREATE INDEX audit_log_resource ON audit_log (resource_type, resource_id, id);
  CREATE INDEX audit_log_request ON audit_log (request_id, id) WHERE request_id IS NOT NULL;

  -- Where the chain begins once its older part has been let go.
  CREATE TABLE audit_trims (
    seq bigint PRIMARY KEY,
    hash bytea NOT NULL,
    trimmed_at timestamptz NOT NULL DEFAULT now()
  );

  CREATE FUNCTION keep_audit_log() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    IF TG_OP = 'UPDATE' AND OLD.seq IS NULL AND NEW.seq IS NOT NULL
      AND to_jsonb(NEW) - '{seq,previous_hash,hash}'::text[]
        = to_jsonb(OLD) - '{seq,previous_hash,hash}'::text[]
    THEN
      RETURN NEW;
    END IF;
    IF TG_OP = 'DELETE' AND current_setting('varve.audit_trim', true) = 'on' THEN
      RETURN OLD;
    END IF;
    RAISE EXCEPTION 'The audit log is append-only' USING ERRCODE = 'insufficient_privilege';
  END $$;
  CREATE TRIGGER audit_log_append_only BEFORE UPDATE OR DELETE ON audit_log
    FOR EACH ROW EXECUTE FUNCTION keep_audit_log();
  CREATE TRIGGER audit_log_no_truncate BEFORE TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION keep_audit_log();`;

const CHANGES = `
  -- Records a change of a row: what it is called, the columns that name the row, the column that
  -- names its dataset, the one that names who did it where no request is running, those whose values
  -- are secret, and those that say nothing worth recording.
  CREATE FUNCTION audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
  DECLARE
    caller jsonb := nullif(current_setting('varve.caller', true), '')::jsonb;
    was jsonb; becomes jsonb; whole jsonb;
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
  END $$;

  -- Audits a table from here on. A column that is ignored does not even call the trigger.
  CREATE FUNCTION audit_table(
    target regclass, called text, named_by text[], dataset_column text DEFAULT '',
    actor_column text DEFAULT '', secrets text[] DEFAULT '{}', ignored text[] DEFAULT '{}'
  ) RETURNS void LANGUAGE plpgsql AS $$
  DECLARE
    columns text;
    call text := format('EXECUTE FUNCTION audit_change(%L, %L, %L, %L, %L, %L)',
      called, named_by, dataset_column, actor_column, secrets, ignored);
  BEGIN
    SELECT string_agg(quote_ident(attname), ', ') INTO columns FROM pg_attribute
      WHERE attrelid = target AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
        AND attname <> ALL (ignored);
    EXECUTE format('CREATE TRIGGER audit AFTER INSERT OR DELETE ON %s FOR EACH ROW %s', target, call);
    EXECUTE format('CREATE TRIGGER audit_update AFTER UPDATE OF %s ON %s FOR EACH ROW %s',
      columns, target, call);
  END $$;`;

const CHAIN = `
  -- What an entry's hash is made of: its place, the hash before it and all that it says, with times
  -- as numbers, so that no session's settings change it.
  CREATE FUNCTION audit_digest(entry audit_log, place bigint, previous bytea) RETURNS bytea
  LANGUAGE sql STABLE AS $$
    SELECT sha256(previous || convert_to(jsonb_build_array(
      place, entry.id, extract(epoch FROM entry.at), entry.actor_id, entry.key_id,
      entry.request_id, entry.address, entry.operation, entry.outcome, entry.action,
      entry.resource_type, entry.resource_id, entry.dataset_id, entry.before, entry.after
    )::text, 'UTF8'))
  $$;

  -- Chains up to so many entries that are not in the chain yet; gives how many. Whoever comes while
  -- another does so has nothing to do.
  CREATE FUNCTION seal_audit_log(most integer) RETURNS integer LANGUAGE plpgsql AS $$
  DECLARE
    entry audit_log; place bigint := 0; previous bytea; next bytea; sealed integer := 0;
  BEGIN
    IF NOT EXISTS (SELECT FROM audit_log WHERE seq IS NULL)
      OR NOT pg_try_advisory_xact_lock(hashtextextended('varve.audit-chain', 0)) THEN
      RETURN 0;
    END IF;
    SELECT t.seq, t.hash INTO place, previous FROM (
      (SELECT seq, hash FROM audit_log WHERE seq IS NOT NULL ORDER BY seq DESC LIMIT 1)
      UNION ALL (SELECT seq, hash FROM audit_trims ORDER BY seq DESC LIMIT 1)
    ) t ORDER BY t.seq DESC LIMIT 1;
    place := coalesce(place, 0);
    previous := coalesce(previous, decode(repeat('00', 32), 'hex'));
    FOR entry IN SELECT * FROM audit_log WHERE seq IS NULL ORDER BY id LIMIT most LOOP
      place := place + 1;
      next := audit_digest(entry, place, previous);
      UPDATE audit_log SET seq = place, previous_hash = previous, hash = next WHERE id = entry.id;
      previous := next;
      sealed := sealed + 1;
    END LOOP;
    RETURN sealed;
  END $$;

  -- Lets go of up to so many of the oldest entries, where they are older than a time; gives how many.
  CREATE FUNCTION trim_audit_log(kept_ms bigint, most integer) RETURNS integer LANGUAGE plpgsql AS $$
  DECLARE
    first bigint; last bigint; trimmed integer;
  BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended('varve.audit-chain', 0)) THEN RETURN 0; END IF;
    SELECT seq INTO first FROM audit_log WHERE seq IS NOT NULL ORDER BY seq LIMIT 1;
    SELECT max(seq) INTO last FROM (
      SELECT seq, bool_and(at < now() - kept_ms * interval '1 millisecond') OVER (ORDER BY seq) AS old
      FROM audit_log WHERE seq >= first AND seq < first + most
    ) oldest WHERE old;
    IF last IS NULL THEN RETURN 0; END IF;
    INSERT INTO audit_trims (seq, hash) SELECT seq, hash FROM audit_log WHERE seq = last;
    DELETE FROM audit_trims WHERE seq < last;
    PERFORM set_config('varve.audit_trim', 'on', true);
    DELETE FROM audit_log WHERE seq <= last;
    GET DIAGNOSTICS trimmed = ROW_COUNT;
    PERFORM set_config('varve.audit_trim', '', true);
    RETURN trimmed;
  END $$;`;

const AUDITED = `
  SELECT audit_table('users', 'user', '{id}');
  SELECT audit_table('api_keys', 'api-key', '{id}', '', '', '{secret_hash}', '{last_used_at}');
  SELECT audit_table('groups', 'group', '{id}');
  SELECT audit_table('group_members', 'group-member', '{group_id,user_id}');
  SELECT audit_table('permissions', 'permission', '{id}', '', 'granted_by', '{}', '{rank}');
  SELECT audit_table('datasets', 'dataset', '{id}', 'id', 'created_by', '{}',
    '{updated_at,last_version_number}');
  SELECT audit_table('dataset_tags', 'dataset-tag', '{dataset_id,tag_name}', 'dataset_id');
  SELECT audit_table('webhooks', 'webhook', '{id}', '', 'user_id', '{secret,previous_secret}',
    '{failing_since}');
  SELECT audit_table('dataset_versions', 'version', '{id}', 'dataset_id', 'created_by', '{}',
    '{lineage_id,lineage_depth,lineage_rows,snapshot_lineage_id}');
  SELECT audit_table('dataset_pointers', 'pointer', '{dataset_id,pointer_name}', 'dataset_id', '',
    '{}', '{updated_at}');
  SELECT audit_table('dataset_checks', 'dataset-checks', '{dataset_id}', 'dataset_id');
  SELECT audit_table('dataset_retention', 'dataset-retention', '{dataset_id}', 'dataset_id',
    'set_by');
  SELECT audit_table('dataset_removals', 'version-removal', '{id}', 'dataset_id', 'removed_by',
    '{}', '{swept_at}');
  SELECT audit_table('dataset_purges', 'purge', '{id}', 'dataset_id', 'purged_by', '{}',
    '{entries}');
  -- Of a job only that it was asked for and that it was called off: the rest is the server's work.
  CREATE TRIGGER audit AFTER INSERT ON jobs FOR EACH ROW WHEN (NEW.created_by IS NOT NULL)
    EXECUTE FUNCTION audit_change('job', '{id}', '', 'created_by', '{}',
      '{seq,queue_job_id,progress_percent,progress_message,attempts,max_attempts,run_after}');
  CREATE TRIGGER audit_update AFTER UPDATE OF state ON jobs FOR EACH ROW
    WHEN (NEW.state = 'cancelled' AND OLD.state <> 'cancelled')
    EXECUTE FUNCTION audit_change('job', '{id}', '', '', '{}',
      '{seq,queue_job_id,progress_percent,progress_message,attempts,max_attempts,run_after}');`;
