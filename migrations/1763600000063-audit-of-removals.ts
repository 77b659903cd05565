import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Audits what a dataset keeps of its history, and what was removed of it. */
export class AuditOfRemovals1763600000063 implements MigrationInterface {
  readonly name = 'AuditOfRemovals1763600000063';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      SELECT audit_table('dataset_removals', 'removal', '{id}', 'dataset_id', 'removed_by', '{}',
        '{swept_at}');
      SELECT audit_table('dataset_retention', 'dataset-retention', '{dataset_id}', 'dataset_id',
        'set_by');
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP TRIGGER audit ON dataset_retention; DROP TRIGGER audit_update ON dataset_retention;
      DROP TRIGGER audit ON dataset_removals; DROP TRIGGER audit_update ON dataset_removals;
    `);
  }
}
