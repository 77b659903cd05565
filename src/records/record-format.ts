import { RECORDS } from '../core/contracts/storage-backend.js';
import type { Sha256 } from '../core/ids.js';
import type { JsonObject } from '../core/json.js';

/** What there are records of. */
export const RECORD_KINDS = ['dataset', 'group', 'user'] as const;
export type RecordKind = (typeof RECORD_KINDS)[number];

/** The first member of every record. */
export const RECORD_FORMAT = 'varve.record/1';

/** What a record is about. Ids are those of the database, and stay in a rebuilt one. */
export interface RecordSubject {
  readonly kind: RecordKind;
  readonly id: number;
}

/** Which record of a subject: a higher sequence was read from the database later. */
export interface RecordName extends RecordSubject {
  /** A UUID: the database that wrote it, or that one's successors. */
  readonly origin: string;
  readonly sequence: number;
}

/** What a user's record says. Keys are secrets, of which nothing is written. Times are RFC 3339. */
export interface UserContent {
  readonly name: string;
  readonly role: string;
  readonly createdAt: string;
  readonly disabledAt: string | null;
}

/** What a group's record says. */
export interface GroupContent {
  readonly name: string;
  readonly createdAt: string;
  readonly members: readonly { readonly userId: number; readonly addedAt: string }[];
}

/** What somebody may do with a dataset: a user, a group, or, where both are null, everybody. */
export interface GrantContent {
  readonly userId: number | null;
  readonly groupId: number | null;
  readonly permission: string;
  readonly grantedBy: number;
  readonly grantedAt: string;
}

/** A branch or a tag, as a record has it. */
export interface PointerContent {
  readonly name: string;
  readonly isTag: boolean;
  readonly isProtected: boolean;
  /** Null while a branch is empty. */
  readonly digest: Sha256 | null;
  readonly createdAt: string;
  readonly updatedAt: string;
}

/** The rules by which a dataset lets versions go. */
export interface RetentionContent {
  readonly keepLast: number;
  /** As it was given, such as `30d`. */
  readonly keepYoungerThan: string | null;
  readonly keepYoungerThanMs: number | null;
  readonly setBy: number;
  readonly setAt: string;
}

/** Versions that were removed at once; `record` is the digest of what tells which and why. */
export interface RemovalContent {
  readonly record: Sha256;
  readonly cause: string;
  readonly removedBy: number | null;
  readonly removedAt: string;
}

/** A content that was taken out of every version; `notice` is the digest of what stands there now. */
export interface PurgeContent {
  readonly notice: Sha256;
  readonly sha256: Sha256;
  readonly sizeBytes: number;
  readonly fileType: string | null;
  readonly mimeType: string;
  /** In how many places it stood. */
  readonly entries: number;
  readonly reason: string;
  readonly purgedBy: number;
  readonly purgedAt: string;
  readonly liftedBy: number | null;
  readonly liftedAt: string | null;
  readonly liftReason: string | null;
}

/** What a dataset's record says: all that its overlay documents do not. Times are RFC 3339. */
export interface DatasetContent {
  readonly name: string;
  readonly description: string;
  readonly metadata: JsonObject;
  readonly owner: { readonly id: number; readonly name: string };
  readonly defaultBranch: string;
  /** The highest number that a version was ever given. */
  readonly lastVersionNumber: number;
  readonly createdAt: string;
  readonly updatedAt: string;
  readonly deletedAt: string | null;
  readonly tags: readonly string[];
  readonly checks: JsonObject | null;
  readonly grants: readonly GrantContent[];
  readonly pointers: readonly PointerContent[];
  readonly deletedBranches: readonly {
    readonly name: string;
    readonly digest: Sha256 | null;
    readonly deletedAt: string;
  }[];
  /** The rules by which the dataset lets versions go; null where it keeps all. */
  readonly retention: RetentionContent | null;
  /** Deletions of versions up to this number left no tombstone. */
  readonly removalsKnownAfter: number;
  /** In their order. */
  readonly removals: readonly RemovalContent[];
  /** In their order. */
  readonly purges: readonly PurgeContent[];
  /** The versions that have no child: from them and the pointers all others are found. */
  readonly tips: readonly Sha256[];
}

/** Something of which nothing is left; its id is not given again. */
export interface GoneContent {
  readonly gone: true;
}

export type RecordContent = DatasetContent | GroupContent | UserContent | GoneContent;

const KEY = new RegExp(
  `^${RECORDS}([0-9a-f-]{36})/(${RECORD_KINDS.join('|')})s/([1-9]\\d*)/(\\d{16})\\.json$`,
);

/** Where a record lies: `records/<origin>/datasets/12/0000000000000007.json`. */
export function keyOfRecord({ origin, kind, id, sequence }: RecordName): string {
  return `${RECORDS}${origin}/${kind}s/${id}/${String(sequence).padStart(16, '0')}.json`;
}

/** What the keys of a subject's records begin with. */
export function recordsOf(origin: string, { kind, id }: RecordSubject): string {
  return `${RECORDS}${origin}/${kind}s/${id}/`;
}

/** Which record lies under a key; null for keys of other things. */
export function parseRecordKey(key: string): RecordName | null {
  const [, origin, kind, id, sequence] = KEY.exec(key) ?? [];
  if (origin === undefined) return null;
  return { origin, kind: kind as RecordKind, id: Number(id), sequence: Number(sequence) };
}
