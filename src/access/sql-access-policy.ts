import { Injectable } from '@nestjs/common';
import type { AccessPolicy, Permission, SqlPredicate } from '../core/contracts/access-policy.js';
import type { PreparedSql, Reader } from '../core/contracts/unit-of-work.js';
import type { DatasetId, FileId } from '../core/ids.js';
import type { Principal } from '../core/principal.js';
import { Forbidden, NotFound } from '../core/problems.js';

const ALL_FILES: PreparedSql = {
  name: 'permissions-on-all-files',
  text: `SELECT id, 'admin' AS held FROM files WHERE id = ANY($1::integer[])`,
};

const RANK: Record<Permission, number> = { read: 1, write: 2, admin: 3 };

/**
 * Passes when what somebody holds on a thing covers what is wanted of it.
 * @throws NotFound, Forbidden
 */
export function judge(
  held: Permission | null | undefined,
  wanted: Permission,
  thing: string,
): void {
  if (!held) throw new NotFound(thing);
  if (RANK[held] < RANK[wanted]) {
    throw new Forbidden(`This takes the permission to ${wanted}; yours is to ${held}.`);
  }
}

/**
 * The rules: an administrator may do everything, an owner everything with a dataset that it owns,
 * nobody else anything. A file is open through the caller's own upload or a readable dataset.
 *
 * `readableDatasets` is the one condition that checks, lists, counts and files have in common.
 */
@Injectable()
export class SqlAccessPolicy implements AccessPolicy {
  async requireDataset(
    tx: Reader,
    principal: Principal,
    dataset: DatasetId,
    permission: Permission,
    options: { includeDeleted?: boolean } = {},
  ): Promise<void> {
    const readable = this.readableDatasets(principal, 'd', 3);
    const [row] = await tx.query<{ held: Permission }>(
      // Whoever may read a dataset owns it or is an administrator, and so may do all with it.
      `SELECT 'admin' AS held FROM datasets d
       WHERE d.id = $1 AND ($2 OR d.deleted_at IS NULL) AND ${readable.sql}`,
      [dataset, options.includeDeleted ?? false, ...readable.parameters],
    );
    judge(row?.held, permission, `Dataset ${dataset}`);
  }

  async requireFile(
    tx: Reader,
    principal: Principal,
    file: FileId,
    permission: Permission,
  ): Promise<void> {
    const held = await this.permissionsOnFiles(tx, principal, [file]);
    judge(held.get(file), permission, `File ${file}`);
  }

  async readableFiles(
    tx: Reader,
    principal: Principal,
    files: readonly FileId[],
  ): Promise<Set<FileId>> {
    return new Set((await this.permissionsOnFiles(tx, principal, files)).keys());
  }

  readableDatasets(principal: Principal, alias: string, firstParameter: number): SqlPredicate {
    if (principal.role === 'admin') return { sql: 'TRUE', parameters: [] };
    return { sql: `${alias}.created_by = $${firstParameter}`, parameters: [principal.userId] };
  }

  /** What the principal may do with each of the files; those with which it may do nothing are left out. */
  async permissionsOnFiles(
    tx: Reader,
    principal: Principal,
    files: readonly FileId[],
  ): Promise<Map<FileId, Permission>> {
    const rows = await this.filesAndPermissions(tx, principal, files);
    return new Map(rows.flatMap(({ id, held }) => (held ? [[id, held]] : [])));
  }

  private filesAndPermissions(
    tx: Reader,
    principal: Principal,
    files: readonly FileId[],
  ): Promise<{ id: FileId; held: Permission | null }[]> {
    if (principal.role === 'admin') return tx.query(ALL_FILES, [files]);
    const readable = this.readableDatasets(principal, 'd', 3);
    const statement: PreparedSql = {
      name: 'permissions-on-files',
      text: `SELECT f.id, CASE
         WHEN EXISTS (
           SELECT FROM upload_holds h
           WHERE h.file_id = f.id AND h.user_id = $2 AND h.expires_at > now()
         ) THEN 'admin'
         WHEN EXISTS (
           SELECT FROM dataset_version_files e
           JOIN dataset_versions v ON v.id = e.version_id
           JOIN datasets d ON d.id = v.dataset_id
           WHERE e.file_id = f.id AND d.deleted_at IS NULL AND ${readable.sql}
         ) OR EXISTS (
           SELECT FROM dataset_versions v
           JOIN datasets d ON d.id = v.dataset_id
           WHERE v.overlay_file_id = f.id AND d.deleted_at IS NULL AND ${readable.sql}
         ) THEN 'read'
       END AS held
       FROM files f WHERE f.id = ANY($1::integer[])`,
    };
    return tx.query(statement, [files, principal.userId, ...readable.parameters]);
  }
}
