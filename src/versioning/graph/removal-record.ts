import canonicalize from 'canonicalize';
import type { Sha256 } from '../../core/ids.js';

/** The media type of removal records. */
export const REMOVAL_MEDIA_TYPE = 'application/vnd.varve.removal+json';

/** What a removal record begins with. */
export const REMOVAL_FORMAT = 'varve.removal/1';

/** Why versions went: somebody deleted one, or the rules of the dataset let them go. */
export type RemovalCause = 'deletion' | 'retention';

/** A version of which nothing but this is promised any more. */
export interface Tombstone {
  readonly number: number;
  readonly digest: Sha256;
  /** The first one first. */
  readonly parents: readonly Sha256[];
}

/**
 * What is written down when versions are removed: stored as an artifact, so that history can be
 * walked past them, and told from tampering, with the storage alone.
 */
export interface RemovalRecord {
  readonly dataset: { readonly id: number; readonly name: string };
  readonly cause: RemovalCause;
  /** Null where the server did it by itself. */
  readonly by: { readonly id: number; readonly name: string } | null;
  /** RFC 3339, UTC. */
  readonly time: string;
  /** In the order of their numbers. */
  readonly versions: readonly Tombstone[];
}

/** A removal record as canonical JSON (RFC 8785). */
export function removalRecord(record: RemovalRecord): string {
  const text = canonicalize({ $format: REMOVAL_FORMAT, ...record });
  if (text === undefined) throw new TypeError('A removal record has no canonical JSON');
  return text;
}

/** The tombstones that a record speaks of, by their numbers; null for what is no such record. */
export function parseRemovalRecord(text: string): ReadonlyMap<number, Tombstone> | null {
  try {
    const { $format, versions } = JSON.parse(text) as RemovalRecord & { $format: string };
    if ($format !== REMOVAL_FORMAT) return null;
    return new Map(versions.map((version) => [version.number, version]));
  } catch {
    return null;
  }
}

/** Whether two tombstones say the same. */
export function sameTombstone(a: Tombstone | undefined, b: Tombstone): boolean {
  return canonicalize(a) === canonicalize(b);
}
