import { Injectable } from '@nestjs/common';
import type { AccessPolicy, SqlPredicate } from '../core/contracts/access-policy.js';
import { covers, PERMISSIONS, type Permission } from '../core/permission.js';
import type { PreparedSql, Reader } from '../core/contracts/unit-of-work.js';
import type { DatasetId, FileId } from '../core/ids.js';
import type { Principal } from '../core/principal.js';
import { Forbidden, NotFound } from '../core/problems.js';

const ALL_FILES: PreparedSql = {
  name: 'permissions-on-all-files',
  text: `SELECT id, 3 AS rank FROM files WHERE id = ANY($1::integer[])`,
};

/**
 * The highest rank that the user, parameter 2, holds on one thing. A scalar, so that PostgreSQL looks
 * that thing up in each branch of the view rather than all that the user holds.
 */
const rankOn = (type: 'dataset' | 'file', id: string) =>
  `(SELECT max(g.rank) FROM resource_grants g
    WHERE g.resource_type = '${type}' AND g.resource_id = ${id} AND g.user_id IN ($2, 0))`;

const DATASET: PreparedSql = {
  name: 'permission-on-dataset',
  text: `SELECT d.deleted_at IS NOT NULL AS deleted,
      CASE WHEN $3 THEN 3 ELSE ${rankOn('dataset', 'd.id')} END AS rank
    FROM datasets d WHERE d.id = $1`,
};

const FILES: PreparedSql = {
  name: 'permissions-on-files',
  text: `SELECT f.id, CASE WHEN EXISTS (
      SELECT FROM upload_holds h
      WHERE h.file_id = f.id AND h.user_id = $2 AND h.expires_at > now()
    ) THEN 3 ELSE coalesce(${rankOn('file', 'f.id')}, CASE WHEN EXISTS (
      SELECT FROM dataset_version_files e
      JOIN dataset_versions v ON v.id = e.version_id
      JOIN datasets d ON d.id = v.dataset_id
      WHERE e.file_id = f.id AND d.deleted_at IS NULL AND ${rankOn('dataset', 'd.id')} >= 1
    ) OR EXISTS (
      SELECT FROM dataset_versions v
      JOIN datasets d ON d.id = v.dataset_id
      WHERE v.overlay_file_id = f.id AND d.deleted_at IS NULL
        AND ${rankOn('dataset', 'd.id')} >= 1
    ) THEN 1 END) END AS rank
    FROM files f WHERE f.id = ANY($1::integer[])`,
};

interface FileRow {
  readonly id: FileId;
  readonly rank: number | null;
}

/** The permission of a rank in `resource_grants`; undefined for none. */
const ofRank = (rank: number | null | undefined): Permission | undefined =>
  PERMISSIONS[(rank ?? 0) - 1];

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
  if (!covers(held, wanted)) {
    throw new Forbidden(`This takes the permission to ${wanted}; yours is to ${held}.`);
  }
}

/**
 * The rules: an administrator of the server may do everything; an owner everything with its dataset;
 * others what has been granted to them, to a group of theirs or to everybody. A file is open through
 * a grant, the caller's own upload or a readable dataset that holds it.
 *
 * The view `resource_grants` is what checks, lists, counts and files have in common.
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
    const [row] = await tx.query<{ deleted: boolean; rank: number | null }>(DATASET, [
      dataset,
      principal.userId,
      principal.role === 'admin',
    ]);
    const held = ofRank(row?.rank);
    // A deleted one is there for nobody but those who may do with it what can still be done.
    const hidden =
      row?.deleted && !(options.includeDeleted && held !== undefined && covers(held, permission));
    judge(hidden ? null : held, permission, `Dataset ${dataset}`);
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

  readableDatasets(
    principal: Principal,
    alias: string,
    firstParameter: number,
    permission: Permission = 'read',
  ): SqlPredicate {
    if (principal.role === 'admin') return { sql: 'TRUE', parameters: [] };
    const least = PERMISSIONS.indexOf(permission) + 1;
    const sql = `${alias}.id IN (SELECT g.resource_id FROM resource_grants g
      WHERE g.resource_type = 'dataset' AND g.user_id IN ($${firstParameter}, 0)
        AND g.rank >= ${least})`;
    return { sql, parameters: [principal.userId] };
  }

  /** What the principal may do with each of the files; those with which it may do nothing are left out. */
  async permissionsOnFiles(
    tx: Reader,
    principal: Principal,
    files: readonly FileId[],
  ): Promise<Map<FileId, Permission>> {
    const rows = await (principal.role === 'admin'
      ? tx.query<FileRow>(ALL_FILES, [files])
      : tx.query<FileRow>(FILES, [files, principal.userId]));
    return new Map(
      rows.flatMap(({ id, rank }) => {
        const permission = ofRank(rank);
        return permission ? [[id, permission]] : [];
      }),
    );
  }
}
