import { isSha256, MAX_ID, type Sha256 } from '../../core/ids.js';
import { InvalidInput } from '../../core/problems.js';

/** What a ref names before any `~n`. */
export type RefBase =
  | { readonly kind: 'pointer'; readonly name: string }
  | { readonly kind: 'number'; readonly versionNumber: number }
  | { readonly kind: 'digest'; readonly digest: Sha256 }
  | { readonly kind: 'draft'; readonly id: number };

/** A parsed ref: a base, and how many first parents to go back from there. */
export interface Ref {
  readonly base: RefBase;
  readonly generations: number;
}

const MAX_NAME_BYTES = 255;
const DIGITS = /^\d+$/;
const HEX64 = /^[0-9a-f]{64}$/i;
const ID = /^[1-9]\d{0,9}$/;

/**
 * What is wrong with a branch's or tag's name, or null. The rules are those of git-check-ref-format
 * (https://git-scm.com/docs/git-check-ref-format), and a name never looks like a number or digest.
 */
export function pointerNameComplaint(name: unknown): string | null {
  if (typeof name !== 'string') return 'takes text';
  if (name === '') return 'must not be empty';
  if (!name.isWellFormed()) return 'must not contain half of a surrogate pair';
  if (Buffer.byteLength(name) > MAX_NAME_BYTES) return `takes at most ${MAX_NAME_BYTES} bytes`;
  if (DIGITS.test(name)) return 'must not be all digits: that is a version number';
  if (HEX64.test(name)) return 'must not be 64 hexadecimal digits: that is a digest';
  if (/[\p{Cc} ~^:?*[\\]/u.test(name)) {
    return 'must not contain spaces, control characters or any of ~ ^ : ? * [ \\';
  }
  if (name === '@' || name.includes('@{')) return 'must not be "@" or contain "@{"';
  if (name.includes('..')) return 'must not contain ".."';
  if (name.startsWith('-')) return 'must not begin with "-"';
  if (name.endsWith('.')) return 'must not end with "."';
  for (const part of name.split('/')) {
    if (part === '') return 'must not begin or end with "/" or contain "//"';
    if (part.startsWith('.')) return 'must not have a part that begins with "."';
    if (part.endsWith('.lock')) return 'must not have a part that ends with ".lock"';
  }
  return null;
}

/** @throws InvalidInput saying what is wrong with the name */
export function parsePointerName(name: unknown, at = 'name'): string {
  const complaint = pointerNameComplaint(name);
  if (complaint === null) return name as string;
  throw new InvalidInput(`${at} ${complaint}.`, [{ at, message: complaint }]);
}

/**
 * Parses a ref: a branch or tag, a version number (`12`), a digest, `draft:{id}`; each but a draft
 * may be followed by `~n`, the n-th first parent (`~` alone is `~1`).
 * @throws InvalidInput for what can name nothing
 */
export function parseRef(text: string, at = 'ref'): Ref {
  const refuse = (message: string): never => {
    throw new InvalidInput(`${at} ${message}.`, [{ at, message }]);
  };
  const draft = /^draft:(.*)$/s.exec(text);
  if (draft) {
    const id = draft[1] ?? '';
    if (!ID.test(id) || Number(id) > MAX_ID) refuse('names no draft: its id is a whole number');
    return { base: { kind: 'draft', id: Number(id) }, generations: 0 };
  }
  const [, base = '', suffix, count = ''] = /^([^~]*)(~(\d*))?$/s.exec(text) ?? [];
  if (suffix !== undefined && count !== '' && !/^\d{1,9}$/.test(count)) {
    refuse('goes back too far');
  }
  const generations = suffix === undefined ? 0 : count === '' ? 1 : Number(count);
  if (DIGITS.test(base)) {
    if (!ID.test(base) || Number(base) > MAX_ID) refuse('is no version number');
    return { base: { kind: 'number', versionNumber: Number(base) }, generations };
  }
  if (isSha256(base)) return { base: { kind: 'digest', digest: base }, generations };
  const complaint = pointerNameComplaint(base);
  if (complaint !== null) refuse(complaint);
  return { base: { kind: 'pointer', name: base }, generations };
}

/** Whether what the ref names can never change: its answers are cacheable for ever. */
export function isImmutable(ref: Ref): boolean {
  return ref.base.kind === 'number' || ref.base.kind === 'digest';
}
