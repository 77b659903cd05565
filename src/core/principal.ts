import type { ApiKeyId, UserId } from './ids.js';

export type Role = 'admin' | 'member';

/** Who makes a request: a living user, and the key that proved it. */
export interface Principal {
  readonly userId: UserId;
  readonly name: string;
  readonly role: Role;
  readonly keyId: ApiKeyId | null;
}
