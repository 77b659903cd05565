/** A value that carries what it identifies in its type, so that ids of different things never mix. */
export type Brand<T, Name extends string> = T & { readonly __brand: Name };

export type UserId = Brand<number, 'UserId'>;
export type GroupId = Brand<number, 'GroupId'>;
export type SessionId = Brand<number, 'SessionId'>;
export type ApiKeyId = Brand<number, 'ApiKeyId'>;
export type FileId = Brand<number, 'FileId'>;
export type DatasetId = Brand<number, 'DatasetId'>;
export type VersionId = Brand<number, 'VersionId'>;
export type LineageId = Brand<number, 'LineageId'>;
export type JobId = Brand<string, 'JobId'>;
export type EventId = Brand<string, 'EventId'>;

/** A SHA-256 as 64 lower-case hexadecimal digits. */
export type Sha256 = Brand<string, 'Sha256'>;

/** The largest id: PostgreSQL's `integer`. */
export const MAX_ID = 2 ** 31 - 1;

const SHA256_PATTERN = /^[0-9a-f]{64}$/;

/** Whether the text is a SHA-256 in lower-case hexadecimal. */
export function isSha256(text: string): text is Sha256 {
  return SHA256_PATTERN.test(text);
}
