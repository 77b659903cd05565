import canonicalize from 'canonicalize';
import type { Sha256 } from '../../core/ids.js';
import type { JsonObject } from '../../core/json.js';

/** The media type of overlay documents. */
export const OVERLAY_MEDIA_TYPE = 'application/vnd.varve.version+json';

/** The first member of every overlay document: what tells it from other JSON. */
export const OVERLAY_FORMAT = 'varve.version/1';

/** Everything that an overlay document says besides its entries. */
export interface OverlayHeader {
  readonly dataset: { readonly id: number; readonly name: string };
  readonly branch: string;
  readonly number: number;
  /** The digests of the parents, the first one first. */
  readonly parents: readonly Sha256[];
  readonly author: { readonly id: number; readonly name: string };
  /** RFC 3339, UTC. */
  readonly time: string;
  readonly message: string;
  /** Of the whole version, not of the overlay. */
  readonly fileCount: number;
  readonly totalSizeBytes: number;
}

/** A path put, with what stands there. */
export interface OverlayPut {
  readonly path: string;
  readonly sha256: Sha256;
  readonly sizeBytes: number;
  readonly mimeType: string;
  readonly fileType: string | null;
  readonly metadata: JsonObject | null;
}

/** A path put or removed. */
export type OverlayEntry = OverlayPut | { readonly path: string; readonly removed: true };

/** Collects small pieces, so that a million entries are not a million chunks. */
const CHUNK_CHARACTERS = 64 * 1024;

/**
 * Writes an overlay document as canonical JSON (RFC 8785), piece by piece: memory does not grow with
 * the number of entries. Its SHA-256 is the version's digest.
 * @param entries in path order
 */
export async function* overlayDocument(
  header: OverlayHeader,
  entries: Iterable<OverlayEntry> | AsyncIterable<OverlayEntry>,
): AsyncGenerator<string, void> {
  const members: Record<string, unknown> = { $format: OVERLAY_FORMAT, ...header };
  const names = Object.keys(members).sort();
  const member = (name: string): string => `${canonical(name)}:${canonical(members[name])}`;
  const before = names.filter((name) => name < 'entries').map(member);
  const after = names.filter((name) => name > 'entries').map(member);

  let piece = `{${before.join(',')},"entries":[`;
  let first = true;
  for await (const entry of entries) {
    piece += (first ? '' : ',') + entryText(entry);
    first = false;
    if (piece.length >= CHUNK_CHARACTERS) {
      yield piece;
      piece = '';
    }
  }
  yield `${piece}],${after.join(',')}}`;
}

/** An entry as it stands in a document. */
export function entryText(entry: OverlayEntry): string {
  return canonical(entryMembers(entry));
}

/** A media type of a file says little twice: members that say nothing are left out. */
function entryMembers(entry: OverlayEntry): JsonObject {
  if ('removed' in entry) return { path: entry.path, removed: true };
  const members: JsonObject = {
    path: entry.path,
    sha256: entry.sha256,
    size: entry.sizeBytes,
    mimeType: entry.mimeType,
  };
  if (entry.fileType !== null) members.fileType = entry.fileType;
  if (entry.metadata !== null) members.metadata = entry.metadata;
  return members;
}

function canonical(value: unknown): string {
  const text = canonicalize(value);
  if (text === undefined) throw new TypeError('A value has no canonical JSON');
  return text;
}
