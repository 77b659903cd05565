import { JSONParser } from '@streamparser/json';
import { createHash } from 'node:crypto';
import { isSha256, type Sha256 } from '../../core/ids.js';
import { OVERLAY_FORMAT, type OverlayEntry, type OverlayHeader } from './document.js';

/** What came of reading an overlay document to its end. */
export interface ReadDocument {
  /** Of the bytes that were read. */
  readonly sha256: Sha256;
  readonly header: OverlayHeader;
  readonly changes: number;
}

/** The bytes are no overlay document. */
export class NoOverlayDocument extends Error {
  constructor(reason: string) {
    super(`Not an overlay document: ${reason}.`);
    this.name = 'NoOverlayDocument';
  }
}

const HEADER = {
  $format: 'string',
  author: 'object',
  branch: 'string',
  dataset: 'object',
  fileCount: 'number',
  message: 'string',
  number: 'number',
  parents: 'object',
  time: 'string',
  totalSizeBytes: 'number',
} as const;

type StoredEntry =
  | { path: string; removed: true }
  | {
      path: string;
      sha256: Sha256;
      size: number;
      mimeType: string;
      fileType?: string;
      metadata?: never;
    };

/**
 * Reads an overlay document as it streams in, hashing it on the way: memory does not grow with the
 * number of entries. Nothing in it is to be believed before it has been read to its end and the
 * digest is the one that was expected.
 * @param take is given the entries in batches, in path order
 * @throws NoOverlayDocument
 */
export async function readOverlayDocument(
  source: AsyncIterable<Buffer>,
  take: (entries: readonly OverlayEntry[]) => Promise<void> | void = () => undefined,
  batchSize = 5000,
): Promise<ReadDocument> {
  const hash = createHash('sha256');
  const members: Record<string, unknown> = {};
  const entries: OverlayEntry[] = [];
  let changes = 0;
  const parser = new JSONParser({
    keepStack: false,
    paths: ['$.entries.*', ...Object.keys(HEADER).map((name) => `$.${name}`)],
  });
  parser.onValue = ({ value, key, stack }) => {
    if (stack.length === 1) members[String(key)] = value;
    else entries.push(toEntry(value as unknown as StoredEntry));
  };
  const parse = (step: () => void): void => {
    try {
      step();
    } catch (error) {
      throw new NoOverlayDocument((error as Error).message);
    }
  };
  for await (const chunk of source) {
    hash.update(chunk);
    parse(() => parser.write(chunk));
    while (entries.length >= batchSize) {
      changes += batchSize;
      await take(entries.splice(0, batchSize));
    }
  }
  parse(() => {
    if (!parser.isEnded) parser.end();
  });
  changes += entries.length;
  if (entries.length > 0) await take(entries);
  for (const [name, type] of Object.entries(HEADER)) {
    if (typeof members[name] !== type) throw new NoOverlayDocument(`it has no ${name}`);
  }
  const { $format, ...header } = members;
  if ($format !== OVERLAY_FORMAT) throw new NoOverlayDocument('its format is not known');
  return {
    sha256: hash.digest('hex') as Sha256,
    header: header as unknown as OverlayHeader,
    changes,
  };
}

function toEntry(entry: StoredEntry): OverlayEntry {
  if (typeof entry.path !== 'string') throw new NoOverlayDocument('an entry has no path');
  if ('removed' in entry) return { path: entry.path, removed: true };
  const { path, sha256, size, mimeType, fileType = null, metadata = null } = entry;
  if (!isSha256(sha256)) throw new NoOverlayDocument('an entry has no digest');
  return { path, sha256, sizeBytes: size, mimeType, fileType, metadata };
}
