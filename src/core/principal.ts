import type { ApiKeyId, SessionId, UserId } from './ids.js';
import type { Permission } from './permission.js';

export type Role = 'admin' | 'member';

/** Who makes a request: a living user, and what proved it. */
export interface Principal {
  readonly userId: UserId;
  readonly name: string;
  readonly role: Role;
  /** The API key that proved it; null where something else did. */
  readonly keyId: ApiKeyId | null;
  /** The session of a login that proved it. */
  readonly sessionId?: SessionId;
  /** When what proved it ends by itself, in milliseconds since 1970. */
  readonly expiresAtMs?: number;
  /** The most that may be done with what proved it, whatever its user may do; all, where absent. */
  readonly scope?: Permission;
}
