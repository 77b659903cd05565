import type { ApiKeyId, DatasetId, UserId } from '../ids.js';
import type { JsonObject } from '../json.js';
import type { Problem } from '../problems.js';
import { token } from '../token.js';
import type { Tx } from './unit-of-work.js';

/** Who does something, and through what: what the audit says beside what was done. */
export interface Caller {
  /** Null before somebody has proved who it is, and for the server's own work. */
  readonly userId: UserId | null;
  readonly keyId: ApiKeyId | null;
  readonly requestId: string | null;
  /** The sender's network address. */
  readonly address: string | null;
  /** The operation's id in the OpenAPI document. */
  readonly operation: string | null;
}

/** Something done that no audited row tells of. */
export interface AuditRecord {
  /** What was done to what kind of thing, such as `file.upload`. */
  readonly action: string;
  readonly resourceType: string;
  readonly resourceId: string;
  readonly datasetId?: DatasetId | null;
  /** What there is to say of it; never a secret. */
  readonly after?: JsonObject | null;
  /** Who did it, where several requests share the transaction; else the running one's caller. */
  readonly caller?: Caller | null;
}

/**
 * The record of who did what. Changes of audited tables are recorded by triggers, in the transaction
 * that makes them (`audit_table` in the migrations); this is for everything else.
 */
export interface AuditTrail {
  /** Records in the caller's transaction, with one statement however many they are. */
  record(tx: Tx, records: readonly AuditRecord[]): Promise<void>;
  /** Records, soon and apart from any transaction, that the running request has been refused. */
  refused(problem: Problem): void;
}

export const AUDIT_TRAIL = token<AuditTrail>('AUDIT_TRAIL');
