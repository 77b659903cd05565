import { InvalidInput } from '../core/problems.js';
import { DatasetChanged } from './dataset.problems.js';
import type { DatasetDetails } from './datasets.repository.js';

/** The entity tags of an `If-Match` header; null without one, `*` for any. */
export type IfMatch = readonly string[] | '*' | null;

const ENTITY_TAGS = /^(?:W\/)?"[\x21\x23-\x7e]*"(?:\s*,\s*(?:W\/)?"[\x21\x23-\x7e]*")*$/;

/** A dataset's entity tag: another one for each state. */
export function etagOf(dataset: Pick<DatasetDetails, 'updatedMicros'>): string {
  return `"${dataset.updatedMicros}"`;
}

/** Parses `If-Match` (RFC 9110, section 13.1.1). @throws InvalidInput */
export function parseIfMatch(header: string | undefined): IfMatch {
  const text = header?.trim();
  if (text === undefined || text === '*') return text ?? null;
  if (ENTITY_TAGS.test(text)) return text.match(/(?:W\/)?"[^"]*"/g) ?? [];
  throw new InvalidInput('If-Match takes * or entity tags in double quotes.', [
    { at: 'If-Match', message: 'takes * or entity tags in double quotes' },
  ]);
}

/** Whether `If-None-Match` names the present state (RFC 9110, section 13.1.2: compared weakly). */
export function isKnown(ifNoneMatch: string | undefined, dataset: DatasetDetails): boolean {
  if (ifNoneMatch?.trim() === '*') return true;
  return ifNoneMatch?.match(/"[^"]*"/g)?.includes(etagOf(dataset)) ?? false;
}

/** Passes when the caller has read the present state, or did not ask. @throws DatasetChanged */
export function requireMatch(ifMatch: IfMatch, dataset: DatasetDetails): void {
  const etag = etagOf(dataset);
  if (ifMatch !== null && ifMatch !== '*' && !ifMatch.includes(etag)) {
    throw new DatasetChanged(etag);
  }
}
