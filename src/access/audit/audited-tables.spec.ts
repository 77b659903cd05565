import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { DataSource } from 'typeorm';
import { testDatabase, type TestDatabase } from '../../../test/database/test-database.js';

/** Tables whose changes the audit leaves out, each with its reason. */
const NOT_AUDITED: Record<string, string> = {
  audit_log: 'is the audit',
  audit_trims: 'says where the audit begins',
  migrations: 'changes with the server, by nobody',
  files: 'uploads are recorded as such, with who brought them; rows come and go with them',
  login_attempts: 'counts failures; each is recorded as a refusal',
  rate_usage: 'counts calls',
  session_tokens: 'secrets of sessions, which are audited; renewed every few minutes',
  upload_holds: 'uploads are recorded as such; a hold expires by itself',
  storage_usage: 'sums up what is held; the quotas themselves are recorded',
  storage_deletions: 'the collector’s notes',
  dataset_version_files: 'what a version holds; its digest, which is audited, covers it',
  dataset_lineages: 'how versions are read, not what they are',
  dataset_schema_versions: 'what versions hold as tables, found out from them',
  result_sources: 'notes of what files were made of; the jobs and commits are recorded',
  table_contents: 'what files hold as tables, found out from them',
  dataset_lineage_files: 'how versions are read, not what they are',
  dataset_deleted_branches: 'what can be restored; deleting the branch is recorded',
  events: 'tells of changes that are recorded themselves',
  event_subscriptions: 'how far handlers are, which moves with every event',
  event_deliveries: 'which handler has been told of what',
  handled_events: 'which handler has been told of what',
  evaluations: 'what events have told of, which are recorded themselves',
  evaluation_totals: 'counts',
  queue_tasks: 'what events have told of, which are recorded themselves',
  queue_totals: 'counts',
  recorded_metrics: 'what events have told of, which are recorded themselves',
  webhook_deliveries: 'a log of its own: what was sent, and how that went',
  idempotency_keys: 'answers to repeat',
  job_workers: 'which process lives',
  record_origin: 'made with the database',
  record_changes: 'notes of what is yet to be written to the storage',
  storage_records: 'notes of what has been written to the storage',
  rebuilds: 'made before the server starts, by the command that rebuilds',
  search_documents: 'derived from datasets, which are audited',
  search_pending: 'notes of what is yet to be indexed',
  search_state: 'how the index was made',
  search_texts: 'derived from datasets, which are audited',
  search_words: 'derived from datasets, which are audited',
  rebuild_versions: 'made before the server starts, by the command that rebuilds',
};

describe('the audit', () => {
  let database: TestDatabase;
  let dataSource: DataSource;

  beforeAll(async () => {
    database = await testDatabase();
    dataSource = await database.open();
  });
  afterAll(() => database.drop());

  it('covers every table that is not excused', async () => {
    const tables = await dataSource.query<{ name: string; audited: boolean }[]>(
      `SELECT c.relname AS name, EXISTS (
         SELECT FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
         WHERE t.tgrelid = c.oid AND p.proname = 'audit_change'
       ) AS audited
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') ORDER BY c.relname`,
    );
    expect(tables.length).toBeGreaterThan(20);
    const silent = tables.filter(({ name, audited }) => !audited && !(name in NOT_AUDITED));
    // Call audit_table() in a migration, or say above why the audit need not know.
    expect(silent.map(({ name }) => name)).toEqual([]);
    const excused = tables.filter(({ name, audited }) => audited && name in NOT_AUDITED);
    expect(excused.map(({ name }) => name)).toEqual([]);
  });
});
