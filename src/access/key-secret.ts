import { hash, randomBytes } from 'node:crypto';
import type { Sha256 } from '../core/ids.js';

const SECRET_BYTES = 32;
const SHOWN_CHARACTERS = 12;

/** Makes the secret of a new key: 256 random bits, recognisable to scanners for leaked secrets. */
export function makeSecret(): string {
  return `varve_${randomBytes(SECRET_BYTES).toString('base64url')}`;
}

/**
 * What of a secret is stored. A plain SHA-256 will do: 256 random bits cannot be guessed, so there
 * is nothing for a slow hash to slow down, and looking a hash up tells a timing attacker nothing.
 */
export function hashSecret(secret: string): Sha256 {
  return hash('sha256', secret) as Sha256;
}

/** The part of a secret that is stored clear: at most a quarter of one that somebody chose. */
export function prefixOf(secret: string): string {
  return secret.slice(0, Math.min(SHOWN_CHARACTERS, Math.floor(secret.length / 4)));
}
