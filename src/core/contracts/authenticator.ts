import type { UserId } from '../ids.js';
import type { Principal } from '../principal.js';
import { token } from '../token.js';

/**
 * Who somebody is, for what outlives the request that proved it: a stream asks again and again, and
 * ends once its key is revoked or its user shut out.
 */
export interface PrincipalAuthenticator {
  /** Whoever the credentials (the value of an `Authorization` header) belong to; null for nobody. */
  identify(credentials: string): Promise<Principal | null>;

  /** A user as what acts for it has it; null where it is shut out. */
  principalOf(user: UserId): Promise<Principal | null>;
}

export const AUTHENTICATOR = token<PrincipalAuthenticator>('AUTHENTICATOR');
