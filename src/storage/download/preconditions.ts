import type { IncomingHttpHeaders } from 'node:http';

/** What a request's conditions make of it. */
export type Verdict = 'proceed' | 'not-modified' | 'failed';

const ENTITY_TAG = /(?:W\/)?"[^"]*"/g;

/**
 * Judges `If-Match` and `If-None-Match` of a GET or HEAD against a strong entity tag (RFC 9110,
 * section 13). Conditions on dates are ignored: a content has no date of modification.
 */
export function judge(headers: IncomingHttpHeaders, etag: string): Verdict {
  const ifMatch = headers['if-match'];
  if (ifMatch !== undefined && !names(ifMatch, (tag) => tag === etag)) return 'failed';
  const ifNoneMatch = headers['if-none-match'];
  if (ifNoneMatch !== undefined && names(ifNoneMatch, (tag) => weak(tag) === etag)) {
    return 'not-modified';
  }
  return 'proceed';
}

/** Whether a `Range` still applies: what the sender has of the content is of this one. */
export function rangeApplies(headers: IncomingHttpHeaders, etag: string): boolean {
  const ifRange = headers['if-range'];
  return ifRange === undefined || ifRange === etag;
}

function names(header: string, matches: (tag: string) => boolean): boolean {
  return header.trim() === '*' || (header.match(ENTITY_TAG) ?? []).some(matches);
}

function weak(tag: string): string {
  return tag.startsWith('W/') ? tag.slice(2) : tag;
}
