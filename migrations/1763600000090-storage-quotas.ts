import type { MigrationInterface, QueryRunner } from 'typeorm';

/** How many bytes users and datasets may hold, and what those with a limit are charged for. */
export class StorageQuotas1763600000090 implements MigrationInterface {
  readonly name = 'StorageQuotas1763600000090';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      -- Bytes; null for the server's default.
      ALTER TABLE users ADD COLUMN storage_quota bigint CHECK (storage_quota >= 0);
      ALTER TABLE datasets ADD COLUMN storage_quota bigint CHECK (storage_quota >= 0);
      CREATE TRIGGER audit_quota AFTER UPDATE OF storage_quota ON users
        FOR EACH ROW EXECUTE FUNCTION audit_change('user', '{id}', '', '', '{}', '{}');
      CREATE TRIGGER audit_quota AFTER UPDATE OF storage_quota ON datasets
        FOR EACH ROW EXECUTE FUNCTION audit_change('dataset', '{id}', 'id', '', '{}', '{}');

      -- What a holder with a quota has been charged for since it was last counted: never less than
      -- it holds. The row is the judge of races, and is dropped to be counted anew.
      CREATE TABLE storage_usage (
        holder_type text NOT NULL CHECK (holder_type IN ('user', 'dataset')),
        holder_id integer NOT NULL,
        charged_bytes bigint NOT NULL,
        PRIMARY KEY (holder_type, holder_id)
      );
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP TABLE storage_usage;
      DROP TRIGGER audit_quota ON datasets; DROP TRIGGER audit_quota ON users;
      ALTER TABLE datasets DROP COLUMN storage_quota;
      ALTER TABLE users DROP COLUMN storage_quota;
    `);
  }
}
