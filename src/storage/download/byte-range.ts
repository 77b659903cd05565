/** Bytes [start, end) of a content. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

const SPEC = /^(\d*)-(\d*)$/;

/**
 * Reads a `Range` header (RFC 9110, section 14). Null means that the header is to be ignored and
 * the whole content sent: for a malformed one, another unit, and for several ranges at once, which
 * a server may answer so (section 14.2) and which nobody downloads files with.
 */
export function parseByteRange(
  header: string,
  sizeBytes: number,
): ByteRange | 'unsatisfiable' | null {
  const [unit, set, ...rest] = header.split('=');
  if (unit?.trim().toLowerCase() !== 'bytes' || set === undefined || rest.length > 0) return null;
  const specs = set.split(',').filter((spec) => spec.trim() !== '');
  const spec = specs.length === 1 ? SPEC.exec(specs[0]!.trim()) : null;
  if (!spec) return null;
  const [, first = '', last = ''] = spec;
  if (first === '') return last === '' ? null : suffix(Number(last), sizeBytes);
  const start = Number(first);
  if (last !== '' && Number(last) < start) return null;
  if (start >= sizeBytes) return 'unsatisfiable';
  return { start, end: last === '' ? sizeBytes : Math.min(Number(last) + 1, sizeBytes) };
}

function suffix(length: number, sizeBytes: number): ByteRange | 'unsatisfiable' | null {
  if (length === 0) return 'unsatisfiable';
  // The last bytes of nothing are all of it, and there is no Content-Range that could say so.
  if (sizeBytes === 0) return null;
  return { start: Math.max(0, sizeBytes - length), end: sizeBytes };
}
