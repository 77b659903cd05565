import canonicalize from 'canonicalize';
import type { Sha256 } from '../../core/ids.js';

/** The media type of purge notices. */
export const PURGE_MEDIA_TYPE = 'application/vnd.varve.purge+json';

/** What a purge notice begins with. */
export const PURGE_FORMAT = 'varve.purge/1';

/** What stands where a content was: who took it out of a dataset, when and why. */
export interface PurgeNotice {
  readonly dataset: { readonly id: number; readonly name: string };
  readonly content: {
    readonly sha256: Sha256;
    readonly size: number;
    readonly mimeType: string;
    readonly fileType: string | null;
  };
  readonly by: { readonly id: number; readonly name: string };
  readonly reason: string;
  /** RFC 3339, UTC. */
  readonly time: string;
}

/** A purge notice as canonical JSON (RFC 8785). No two are the same: they differ in their times. */
export function purgeNotice(notice: PurgeNotice): string {
  const text = canonicalize({ $format: PURGE_FORMAT, ...notice });
  if (text === undefined) throw new TypeError('A purge notice has no canonical JSON');
  return text;
}
