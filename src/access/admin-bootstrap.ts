import { Inject, Injectable } from '@nestjs/common';
import { UNIT_OF_WORK, type Tx, type UnitOfWork } from '../core/contracts/unit-of-work.js';
import type { UserId } from '../core/ids.js';
import { CONFIG, type Config } from '../platform/config/config.js';
import { hashSecret, makeSecret, prefixOf } from './key-secret.js';

const ADMINISTRATOR = 'admin';

/** Sees to it, when the server starts, that somebody can administer it. */
@Injectable()
export class AdminBootstrap {
  constructor(
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
    @Inject(CONFIG) private readonly config: Pick<Config, 'ADMIN_TOKEN'>,
  ) {}

  /**
   * With `ADMIN_TOKEN` set, the user `admin` is an administrator with that key, whatever happened to
   * it before, and the key that an earlier start gave it ends. Without it, a key is made where no
   * administrator has one. Replicas that start together do this once.
   *
   * @returns the key, to be shown to the operator; null where none had to be made
   */
  ensureAdministrator(): Promise<string | null> {
    const configured = this.config.ADMIN_TOKEN;
    return this.unitOfWork.run(async (tx) => {
      await tx.query(`SELECT pg_advisory_xact_lock(hashtextextended('varve.admin-bootstrap', 0))`);
      if (configured !== undefined) {
        await giveKey(tx, configured);
        return null;
      }
      if (await anAdministratorHasAKey(tx)) return null;
      const secret = makeSecret();
      await giveKey(tx, secret);
      return secret;
    });
  }
}

async function anAdministratorHasAKey(tx: Tx): Promise<boolean> {
  const rows = await tx.query(
    `SELECT FROM users u JOIN api_keys k ON k.user_id = u.id
     WHERE u.role = 'admin' AND u.disabled_at IS NULL AND k.revoked_at IS NULL AND k.scope = 'admin'
       AND (k.expires_at IS NULL OR k.expires_at > now())
     LIMIT 1`,
  );
  return rows.length > 0;
}

async function giveKey(tx: Tx, secret: string): Promise<void> {
  const [user] = await tx.query<{ id: UserId }>(
    `INSERT INTO users (name, role) VALUES ($1, 'admin')
     ON CONFLICT (name) DO UPDATE SET role = 'admin', disabled_at = NULL RETURNING id`,
    [ADMINISTRATOR],
  );
  const hash = hashSecret(secret);
  await tx.query(
    `UPDATE api_keys SET revoked_at = now()
     WHERE is_bootstrap AND revoked_at IS NULL AND secret_hash <> $1`,
    [hash],
  );
  await tx.query(
    `INSERT INTO api_keys (user_id, name, prefix, secret_hash, is_bootstrap)
     VALUES ($1, 'first administrator', $2, $3, true)
     ON CONFLICT (secret_hash) DO UPDATE
       SET user_id = excluded.user_id, is_bootstrap = true, scope = 'admin', revoked_at = NULL, expires_at = NULL`,
    [user?.id, prefixOf(secret), hash],
  );
}
