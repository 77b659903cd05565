import { randomBytes } from 'node:crypto';

const PREFIX = 'varve_session_';

/** Makes a token of a session: 256 random bits, told from API keys by how it begins. */
export function makeSessionToken(): string {
  return PREFIX + randomBytes(32).toString('base64url');
}

export function isSessionToken(secret: string): boolean {
  return secret.startsWith(PREFIX);
}
