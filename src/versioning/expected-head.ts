import { RefMoved } from '../core/contracts/versions.js';
import { InvalidInput } from '../core/problems.js';

/** Digests of which a branch's head must have one, `*` for any head at all, null for whatever. */
export type ExpectedHead = readonly string[] | '*' | null;

const ENTITY_TAGS = /^(?:W\/)?"[\x21\x23-\x7e]*"(?:\s*,\s*(?:W\/)?"[\x21\x23-\x7e]*")*$/;

/** A version's entity tag, which is also that of a pointer at it. */
export function etagOf(version: { readonly digest: string }): string {
  return `"${version.digest}"`;
}

/**
 * The digests of an `If-Match` header (RFC 9110, section 13.1.1); null without one.
 * @throws InvalidInput
 */
export function parseIfMatch(header: string | undefined): ExpectedHead {
  const text = header?.trim();
  if (text === undefined || text === '*') return text ?? null;
  if (ENTITY_TAGS.test(text)) {
    // A weak tag never matches here: it promises less than the digest that is asked for.
    return (text.match(/(?:W\/)?"[^"]*"/g) ?? []).map((tag) => tag.replace(/^"|"$/g, ''));
  }
  throw new InvalidInput('If-Match takes * or entity tags in double quotes.', [
    { at: 'If-Match', message: 'takes * or entity tags in double quotes' },
  ]);
}

/** @throws RefMoved when the head has none of the digests that the caller has read */
export function requireExpected(ref: string, actual: string | null, expected: ExpectedHead): void {
  if (expected === null) return;
  if (actual !== null && (expected === '*' || expected.includes(actual))) return;
  throw new RefMoved({ ref, expected: expected === '*' ? null : (expected[0] ?? null), actual });
}
