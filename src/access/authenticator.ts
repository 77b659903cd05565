import { Inject, Injectable, Logger } from '@nestjs/common';
import { LRUCache } from 'lru-cache';
import type { PrincipalAuthenticator } from '../core/contracts/authenticator.js';
import { UNIT_OF_WORK, type Tx, type UnitOfWork } from '../core/contracts/unit-of-work.js';
import type { ApiKeyId, Sha256, UserId } from '../core/ids.js';
import type { Principal, Role } from '../core/principal.js';
import { hashSecret } from './key-secret.js';

const BEARER = /^Bearer +([\x21-\x7e]+) *$/i;

/** How long an answer may be given again: whoever is shut out is out on every replica after that. */
const FRESH_MS = 500;
const MAX_REMEMBERED = 10_000;

interface Lookup {
  /** When it was asked, so that a slow answer is not taken for a fresh one. */
  readonly askedAt: number;
  readonly principal: Promise<Principal | null>;
}

/** Tells who a secret belongs to. */
@Injectable()
export class Authenticator implements PrincipalAuthenticator {
  private readonly logger = new Logger(Authenticator.name);
  private readonly lookups = new LRUCache<Sha256, Lookup>({ max: MAX_REMEMBERED });

  constructor(@Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork) {}

  async identify(credentials: string): Promise<Principal | null> {
    const secret = BEARER.exec(credentials)?.[1];
    return secret === undefined ? null : this.authenticate(secret);
  }

  async principalOf(user: UserId): Promise<Principal | null> {
    const [row] = await this.unitOfWork.read((tx) =>
      tx.query<{ name: string; role: Role }>(
        'SELECT name, role FROM users WHERE id = $1 AND disabled_at IS NULL',
        [user],
      ),
    );
    return row ? { userId: user, name: row.name, role: row.role, keyId: null } : null;
  }

  /** Whoever holds the secret; null unless it is a living key of a living user. */
  authenticate(secret: string): Promise<Principal | null> {
    const hash = hashSecret(secret);
    const known = this.lookups.get(hash);
    const askedAt = performance.now();
    if (known && askedAt - known.askedAt < FRESH_MS) return known.principal;

    const lookup: Lookup = { askedAt, principal: this.lookUp(hash) };
    this.lookups.set(hash, lookup);
    const drop = () => {
      if (this.lookups.peek(hash) === lookup) this.lookups.delete(hash);
    };
    // Only keys that work are remembered: guesses must not push them out.
    lookup.principal.then((principal) => {
      if (!principal) drop();
    }, drop);
    return lookup.principal;
  }

  /** Looks everybody up anew once the transaction has committed. */
  forgetAfterCommit(tx: Tx): void {
    tx.afterCommit(() => this.lookups.clear());
  }

  private async lookUp(hash: Sha256): Promise<Principal | null> {
    const [row] = await this.unitOfWork.read((tx) =>
      tx.query<{
        key_id: ApiKeyId;
        user_id: UserId;
        name: string;
        role: Role;
        use_unrecorded: boolean;
      }>(
        `SELECT k.id AS key_id, u.id AS user_id, u.name, u.role,
                coalesce(k.last_used_at < now() - interval '1 minute', true) AS use_unrecorded
         FROM api_keys k JOIN users u ON u.id = k.user_id
         WHERE k.secret_hash = $1 AND k.revoked_at IS NULL AND u.disabled_at IS NULL
           AND (k.expires_at IS NULL OR k.expires_at > now())`,
        [hash],
      ),
    );
    if (!row) return null;
    if (row.use_unrecorded) await this.recordUse(row.key_id);
    return { userId: row.user_id, name: row.name, role: row.role, keyId: row.key_id };
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
