import { Inject, Injectable } from '@nestjs/common';
import type { Permission } from '../core/permission.js';
import {
  UNIT_OF_WORK,
  type Reader,
  type Tx,
  type UnitOfWork,
} from '../core/contracts/unit-of-work.js';
import type { FileId, GroupId, UserId } from '../core/ids.js';
import type { Principal } from '../core/principal.js';
import { NotFound } from '../core/problems.js';
import { LastDatasetAdministrator, OwnerAdministers, WouldLockYouOut } from './problems.js';
import { SqlAccessPolicy } from './sql-access-policy.js';

/** What a grant is on. */
export interface Resource {
  readonly type: 'dataset' | 'file';
  readonly id: number;
}

/** Whom a grant is for: a user, a group, or everybody who is signed in. */
export type Grantee =
  | { readonly type: 'user'; readonly id: UserId }
  | { readonly type: 'group'; readonly id: GroupId }
  | { readonly type: 'everyone' };

/** A grant as it is listed. */
export interface GrantRow {
  readonly id: number;
  readonly userId: UserId | null;
  readonly groupId: GroupId | null;
  readonly granteeName: string | null;
  readonly permission: Permission;
  readonly grantedBy: UserId;
  readonly grantedAt: Date;
}

const SELECT_GRANT = `
  SELECT p.id, p.user_id AS "userId", p.group_id AS "groupId",
         coalesce(u.name, g.name) AS "granteeName", p.permission_type AS permission,
         p.granted_by AS "grantedBy", p.granted_at AS "grantedAt"
  FROM permissions p
  LEFT JOIN users u ON u.id = p.user_id LEFT JOIN groups g ON g.id = p.group_id`;

/**
 * Making, listing and withdrawing grants. That the caller administers the resource has been checked
 * where its id came in.
 *
 * On a file each administrator has to do with its own grants alone: the uploaders of a content may
 * not learn of each other. An administrator of the server sees them all.
 */
@Injectable()
export class GrantsService {
  constructor(
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
    private readonly policy: SqlAccessPolicy,
  ) {}

  /** The grants on a resource in the order of their making, after one of them. */
  list(
    principal: Principal,
    resource: Resource,
    page: { after: number; limit: number },
  ): Promise<GrantRow[]> {
    return this.unitOfWork.read((tx) =>
      tx.query<GrantRow>(
        `${SELECT_GRANT}
         WHERE p.resource_type = $1 AND p.resource_id = $2 AND p.id > $3
           AND ($4 OR p.granted_by = $5)
         ORDER BY p.id LIMIT $6`,
        [
          resource.type,
          resource.id,
          page.after,
          seesAll(principal, resource),
          principal.userId,
          page.limit,
        ],
      ),
    );
  }

  /**
   * Gives a grantee this permission and no other; on a file, as far as it depends on the caller.
   * @throws NotFound for an unknown user or group; OwnerAdministers; LastDatasetAdministrator,
   *   WouldLockYouOut where it takes administering away
   */
  grant(
    principal: Principal,
    resource: Resource,
    grantee: Grantee,
    permission: Permission,
  ): Promise<GrantRow> {
    return this.unitOfWork.run(async (tx) => {
      await this.lock(tx, resource, grantee);
      const { userId, groupId } = await this.known(tx, grantee);
      const [row] = await tx.query<{ id: number }>(
        `INSERT INTO permissions
           (resource_type, resource_id, user_id, group_id, permission_type, granted_by)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (resource_type, resource_id, coalesce(user_id, 0), coalesce(group_id, 0),
           (CASE resource_type WHEN 'file' THEN granted_by ELSE 0 END))
         DO UPDATE SET permission_type = excluded.permission_type,
           granted_by = excluded.granted_by, granted_at = excluded.granted_at
         RETURNING id`,
        [resource.type, resource.id, userId, groupId, permission, principal.userId],
      );
      await this.requireAdministrator(tx, principal, resource);
      const [grant] = await tx.query<GrantRow>(`${SELECT_GRANT} WHERE p.id = $1`, [row?.id]);
      return grant!;
    });
  }

  /** @throws NotFound where there is no such grant; LastDatasetAdministrator, WouldLockYouOut */
  async withdraw(principal: Principal, resource: Resource, grantee: Grantee): Promise<void> {
    await this.unitOfWork.run(async (tx) => {
      await this.lock(tx, resource, grantee);
      const { userId, groupId } = idsOf(grantee);
      const gone = await tx.query(
        `DELETE FROM permissions
         WHERE resource_type = $1 AND resource_id = $2
           AND user_id IS NOT DISTINCT FROM $3 AND group_id IS NOT DISTINCT FROM $4
           AND ($5 OR granted_by = $6)
         RETURNING id`,
        [
          resource.type,
          resource.id,
          userId,
          groupId,
          seesAll(principal, resource),
          principal.userId,
        ],
      );
      if (gone.length === 0) throw new NotFound('Such a grant');
      await this.requireAdministrator(tx, principal, resource);
    });
  }

  /** Changes of one resource's grants wait for each other here: two may not each leave the other. */
  private async lock(tx: Tx, resource: Resource, grantee: Grantee): Promise<void> {
    const [row] = await tx.query<{ owner: UserId | null }>(
      resource.type === 'dataset'
        ? 'SELECT created_by AS owner FROM datasets WHERE id = $1 FOR NO KEY UPDATE'
        : 'SELECT NULL AS owner FROM files WHERE id = $1 FOR NO KEY UPDATE',
      [resource.id],
    );
    if (!row)
      throw new NotFound(`${resource.type === 'dataset' ? 'Dataset' : 'File'} ${resource.id}`);
    if (grantee.type === 'user' && row.owner === grantee.id) throw new OwnerAdministers();
  }

  private async known(tx: Reader, grantee: Grantee) {
    if (grantee.type === 'everyone') return idsOf(grantee);
    const [row] = await tx.query(
      // Locked, so that a group does not go before its grant is there.
      `SELECT id FROM ${grantee.type === 'user' ? 'users' : 'groups'} WHERE id = $1 FOR KEY SHARE`,
      [grantee.id],
    );
    if (!row) throw new NotFound(`${grantee.type === 'user' ? 'User' : 'Group'} ${grantee.id}`);
    return idsOf(grantee);
  }

  /** What an administrator of the server cannot get wrong: it can always put it right again. */
  private async requireAdministrator(
    tx: Reader,
    principal: Principal,
    resource: Resource,
  ): Promise<void> {
    if (principal.role === 'admin') return;
    if (resource.type === 'file') {
      const held = await this.policy.permissionsOnFiles(tx, principal, [resource.id as FileId]);
      if (held.get(resource.id as FileId) !== 'admin') throw new WouldLockYouOut();
      return;
    }
    const administrators = await tx.query(
      `SELECT FROM resource_grants g JOIN users u ON u.id = g.user_id AND u.disabled_at IS NULL
       WHERE g.resource_type = $1 AND g.resource_id = $2 AND g.rank = 3 LIMIT 1`,
      [resource.type, resource.id],
    );
    if (administrators.length === 0) throw new LastDatasetAdministrator();
  }
}

function seesAll(principal: Principal, resource: Resource): boolean {
  return resource.type === 'dataset' || principal.role === 'admin';
}

function idsOf(grantee: Grantee): { userId: UserId | null; groupId: GroupId | null } {
  return {
    userId: grantee.type === 'user' ? grantee.id : null,
    groupId: grantee.type === 'group' ? grantee.id : null,
  };
}
