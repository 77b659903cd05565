import { Inject, Injectable, Logger } from '@nestjs/common';
import type { Permission } from '../core/permission.js';
import { UNIT_OF_WORK, type PreparedSql, type UnitOfWork } from '../core/contracts/unit-of-work.js';
import type { ApiKeyId, Sha256, UserId } from '../core/ids.js';
import type { Principal, Role } from '../core/principal.js';

const FIND: PreparedSql = {
  name: 'api-key-lookup',
  text: `SELECT k.id AS key_id, k.scope, u.id AS user_id, u.name, u.role,
      coalesce(k.last_used_at < now() - interval '1 minute', true) AS use_unrecorded
    FROM api_keys k JOIN users u ON u.id = k.user_id
    WHERE k.secret_hash = $1 AND k.revoked_at IS NULL AND u.disabled_at IS NULL
      AND (k.expires_at IS NULL OR k.expires_at > now())`,
};

interface KeyRow {
  readonly key_id: ApiKeyId;
  readonly scope: Permission;
  readonly user_id: UserId;
  readonly name: string;
  readonly role: Role;
  readonly use_unrecorded: boolean;
}

/** Finds whose an API key is, and notes that it was used. */
@Injectable()
export class KeyLookup {
  private readonly logger = new Logger(KeyLookup.name);

  constructor(@Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork) {}

  /** Null unless it is a living key of a living user. */
  async find(hash: Sha256): Promise<Principal | null> {
    const [row] = await this.unitOfWork.read((tx) => tx.query<KeyRow>(FIND, [hash]));
    if (!row) return null;
    if (row.use_unrecorded) await this.recordUse(row.key_id);
    const { user_id: userId, name, role, key_id: keyId, scope } = row;
    return { userId, name, role, keyId, scope };
  }

  /** Once a minute per key, however many requests and replicas there are. */
  private async recordUse(key: ApiKeyId): Promise<void> {
    try {
      await this.unitOfWork.run((tx) =>
        tx.query(
          `UPDATE api_keys SET last_used_at = now()
           WHERE id = $1 AND coalesce(last_used_at < now() - interval '1 minute', true)`,
          [key],
        ),
      );
    } catch (error) {
      // Knowing when a key was used is not worth refusing its owner.
      this.logger.warn({ err: error, keyId: key }, 'The use of an API key could not be recorded');
    }
  }
}
