import { Inject, Injectable } from '@nestjs/common';
import { LRUCache } from 'lru-cache';
import type { PrincipalAuthenticator } from '../core/contracts/authenticator.js';
import { UNIT_OF_WORK, type Tx, type UnitOfWork } from '../core/contracts/unit-of-work.js';
import type { Sha256, UserId } from '../core/ids.js';
import type { Principal, Role } from '../core/principal.js';
import { KeyLookup } from './key-lookup.js';
import { hashSecret } from './key-secret.js';
import { SessionLookup } from './login/session-lookup.js';
import { isSessionToken } from './login/session-token.js';
import { OidcTokens } from './oidc/oidc-tokens.js';

const BEARER = /^Bearer +([\x21-\x7e]+) *$/i;

/** How long an answer may be given again: whoever is shut out is out on every replica after that. */
const FRESH_MS = 500;
const MAX_REMEMBERED = 10_000;

interface Lookup {
  /** When it was asked, so that a slow answer is not taken for a fresh one. */
  readonly askedAt: number;
  readonly principal: Promise<Principal | null>;
}

/** Tells who a secret belongs to: an API key, the token of a login, or one of the OpenID provider. */
@Injectable()
export class Authenticator implements PrincipalAuthenticator {
  private readonly lookups = new LRUCache<Sha256, Lookup>({ max: MAX_REMEMBERED });

  constructor(
    private readonly keys: KeyLookup,
    private readonly sessions: SessionLookup,
    private readonly tokens: OidcTokens,
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
  ) {}

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

  /** Whoever holds the secret; null unless it is a living credential of a living user. */
  authenticate(secret: string): Promise<Principal | null> {
    const hash = hashSecret(secret);
    const known = this.lookups.get(hash);
    const askedAt = performance.now();
    if (known && askedAt - known.askedAt < FRESH_MS) return known.principal;

    const lookup: Lookup = { askedAt, principal: this.lookUp(secret, hash) };
    this.lookups.set(hash, lookup);
    const drop = () => {
      if (this.lookups.peek(hash) === lookup) this.lookups.delete(hash);
    };
    // Only what works is remembered: guesses must not push it out.
    lookup.principal.then((principal) => {
      if (!principal) drop();
    }, drop);
    return lookup.principal;
  }

  /** Looks everybody up anew once the transaction has committed. */
  forgetAfterCommit(tx: Tx): void {
    tx.afterCommit(() => this.lookups.clear());
  }

  private async lookUp(secret: string, hash: Sha256): Promise<Principal | null> {
    if (isSessionToken(secret)) return this.sessions.find(hash);
    if (this.tokens.mayBeOne(secret)) {
      const principal = await this.tokens.find(secret);
      if (principal) return principal;
    }
    // An operator may have chosen an ADMIN_TOKEN that looks like anything.
    return this.keys.find(hash);
  }
}
