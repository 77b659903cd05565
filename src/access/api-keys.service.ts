import { Inject, Injectable } from '@nestjs/common';
import { MoreThan } from 'typeorm';
import type { Permission } from '../core/permission.js';
import { UNIT_OF_WORK, type UnitOfWork } from '../core/contracts/unit-of-work.js';
import type { ApiKeyId, UserId } from '../core/ids.js';
import type { Principal } from '../core/principal.js';
import { Forbidden, InvalidInput, NotFound } from '../core/problems.js';
import { ApiKeyEntity } from './api-key.entity.js';
import { Authenticator } from './authenticator.js';
import { hashSecret, makeSecret, prefixOf } from './key-secret.js';
import { UserDisabled } from './problems.js';

/** A new key; its secret is told this once. */
export interface IssuedKey {
  readonly key: ApiKeyEntity;
  readonly secret: string;
}

/** Making, listing and revoking keys: one's own, or for an administrator anybody's. */
@Injectable()
export class ApiKeysService {
  constructor(
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
    private readonly authenticator: Authenticator,
  ) {}

  /** @throws Forbidden, NotFound for an unknown user, UserDisabled, InvalidInput */
  issue(
    principal: Principal,
    request: { name: string; scope: Permission; expiresAt: Date | null; userId?: UserId },
  ): Promise<IssuedKey> {
    const userId = ownerOf(principal, request.userId);
    const secret = makeSecret();
    return this.unitOfWork.run(async (tx) => {
      const [user] = await tx.query<{ disabled: boolean; in_future: boolean }>(
        `SELECT disabled_at IS NOT NULL AS disabled,
                coalesce($2::timestamptz > now(), true) AS in_future
         FROM users WHERE id = $1`,
        [userId, request.expiresAt],
      );
      if (!user) throw new NotFound(`User ${userId}`);
      if (user.disabled) throw new UserDisabled();
      if (!user.in_future) {
        const message = 'must lie in the future';
        throw new InvalidInput(`expiresAt ${message}.`, [{ at: 'expiresAt', message }]);
      }
      const [row] = await tx.query<{ id: ApiKeyId }>(
        `INSERT INTO api_keys (user_id, name, scope, prefix, secret_hash, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6) RETURNING id`,
        [
          userId,
          request.name,
          request.scope,
          prefixOf(secret),
          hashSecret(secret),
          request.expiresAt,
        ],
      );
      const key = await tx.manager.findOneByOrFail(ApiKeyEntity, { id: row?.id });
      return { key, secret };
    });
  }

  /**
   * A user's keys in the order of their ids, after one of them; revoked and expired ones too.
   * @throws Forbidden
   */
  list(
    principal: Principal,
    page: { userId?: UserId; after: number; limit: number },
  ): Promise<ApiKeyEntity[]> {
    const userId = ownerOf(principal, page.userId);
    return this.unitOfWork.read((tx) =>
      tx.manager.find(ApiKeyEntity, {
        where: { userId, id: MoreThan(page.after as ApiKeyId) },
        order: { id: 'ASC' },
        take: page.limit,
      }),
    );
  }

  /**
   * Makes a key that does what an old one does, for as long as that one was to last, and ends the old
   * one once the overlap has passed.
   * @throws NotFound also for a key that has ended, and for one of somebody else, unless an
   *   administrator asks; UserDisabled
   */
  rotate(principal: Principal, id: ApiKeyId, overlapSeconds: number): Promise<IssuedKey> {
    const secret = makeSecret();
    return this.unitOfWork.run(async (tx) => {
      const [old] = await tx.query<{ disabled: boolean }>(
        `SELECT u.disabled_at IS NOT NULL AS disabled
         FROM api_keys k JOIN users u ON u.id = k.user_id
         WHERE k.id = $1 AND ($2 OR k.user_id = $3) AND k.revoked_at IS NULL
           AND (k.expires_at IS NULL OR k.expires_at > now())
         FOR UPDATE OF k`,
        [id, principal.role === 'admin', principal.userId],
      );
      if (!old) throw new NotFound(`API key ${id}`);
      if (old.disabled) throw new UserDisabled();
      const [row] = await tx.query<{ id: ApiKeyId }>(
        `INSERT INTO api_keys (user_id, name, scope, prefix, secret_hash, expires_at)
         SELECT user_id, name, scope, $2, $3, now() + (expires_at - created_at)
         FROM api_keys WHERE id = $1 RETURNING id`,
        [id, prefixOf(secret), hashSecret(secret)],
      );
      await tx.query(
        `UPDATE api_keys SET
           expires_at = least(expires_at, now() + $2::integer * interval '1 second'),
           revoked_at = CASE WHEN $2::integer = 0 THEN now() END
         WHERE id = $1`,
        [id, overlapSeconds],
      );
      this.authenticator.forgetAfterCommit(tx);
      const key = await tx.manager.findOneByOrFail(ApiKeyEntity, { id: row?.id });
      return { key, secret };
    });
  }

  /**
   * Ends a key, on every replica within a second; revoking it again changes nothing.
   * @throws NotFound also for a key of somebody else, unless an administrator asks
   */
  async revoke(principal: Principal, id: ApiKeyId): Promise<void> {
    await this.unitOfWork.run(async (tx) => {
      const [row] = await tx.query(
        `UPDATE api_keys SET revoked_at = coalesce(revoked_at, now())
         WHERE id = $1 AND ($2 OR user_id = $3) RETURNING id`,
        [id, principal.role === 'admin', principal.userId],
      );
      if (!row) throw new NotFound(`API key ${id}`);
      this.authenticator.forgetAfterCommit(tx);
    });
  }
}

/** Whose keys are meant: the caller's own unless an administrator says otherwise. */
function ownerOf(principal: Principal, asked: UserId | undefined): UserId {
  if (asked === undefined || asked === principal.userId) return principal.userId;
  if (principal.role === 'admin') return asked;
  throw new Forbidden('Only an administrator may see or make the keys of others.');
}
