import { isSha256, type Sha256 } from '../../core/ids.js';
import { Problem } from '../../core/problems.js';

/** `Content-Digest` promises something that cannot be verified here, or is malformed. */
export class UnverifiableDigest extends Problem {
  static override readonly kind = {
    code: 'unverifiable-digest',
    status: 400,
    title: 'The digest cannot be verified',
  };

  constructor(detail: string) {
    super(detail, {}, { 'Want-Content-Digest': 'sha-256=10' });
  }
}

/** A member of a dictionary of byte sequences (RFC 8941): `sha-256=:…:`. */
const MEMBER = /^([a-z*][a-z0-9_.*-]*)=:([A-Za-z0-9+/]*={0,2}):$/;

/**
 * The SHA-256 that a `Content-Digest` header promises (RFC 9530); null without a header. Digests of
 * other algorithms are passed by where there is a SHA-256 beside them. Without one the header is
 * refused: its sender counts on a check that would not take place.
 * @throws UnverifiableDigest
 */
export function promisedSha256(header: string | undefined): Sha256 | null {
  if (header === undefined) return null;
  let promised: Sha256 | null = null;
  for (const member of header.split(',')) {
    const [, algorithm, encoded] = MEMBER.exec(member.trim()) ?? [];
    if (algorithm === undefined || encoded === undefined) {
      throw new UnverifiableDigest(
        'Content-Digest is malformed; it takes sha-256=:<base64>: as RFC 9530 has it.',
      );
    }
    if (algorithm !== 'sha-256') continue;
    const hex = Buffer.from(encoded, 'base64').toString('hex');
    if (!isSha256(hex)) {
      throw new UnverifiableDigest('The sha-256 of Content-Digest is not 32 bytes in base64.');
    }
    // Of a member that comes twice the last one counts (RFC 8941, section 3.2).
    promised = hex;
  }
  if (promised !== null) return promised;
  throw new UnverifiableDigest('Content-Digest names no sha-256, which is what is verified here.');
}
