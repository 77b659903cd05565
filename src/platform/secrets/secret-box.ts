import { createCipheriv, createDecipheriv, createHmac, randomBytes } from 'node:crypto';

/** AES-256 in Galois/Counter Mode, with random nonces (NIST SP 800-38D). */
const CIPHER = 'aes-256-gcm';
export const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** What a sealed secret begins with: the format, then which key it was. */
const FORMAT = Buffer.of(1);
const FINGERPRINT_BYTES = 7;
const HEAD_BYTES = FORMAT.length + FINGERPRINT_BYTES;

/** None of the keys has sealed this, or it has been changed since. */
export class CannotUnseal extends Error {
  constructor() {
    super('The secret was sealed with another key, or has been changed since.');
    this.name = 'CannotUnseal';
  }
}

/**
 * Seals secrets that have to be used again, unlike passwords: whoever reads the database, or a backup
 * of it, cannot use them without a key, nor change them unseen.
 */
export class SecretBox {
  private readonly newest: Buffer;
  private readonly head: Buffer;
  private readonly keys: ReadonlyMap<string, Buffer>;

  /** @param keys of 32 bytes each: the first seals, all of them open */
  constructor(keys: readonly [Buffer, ...Buffer[]]) {
    this.newest = keys[0];
    this.head = headOf(keys[0]);
    this.keys = new Map(keys.map((key) => [headOf(key).toString('hex'), key]));
  }

  /** @param purpose what the secret is for; it opens for nothing else */
  seal(secret: Buffer, purpose: string): Buffer {
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv(CIPHER, this.newest, nonce).setAAD(Buffer.from(purpose));
    const sealed = Buffer.concat([cipher.update(secret), cipher.final()]);
    return Buffer.concat([this.head, nonce, sealed, cipher.getAuthTag()]);
  }

  /** Whether it was sealed with the key that seals now. */
  isNewest(sealed: Buffer): boolean {
    return this.head.equals(sealed.subarray(0, HEAD_BYTES));
  }

  /** @throws CannotUnseal */
  open(sealed: Buffer, purpose: string): Buffer {
    const secret = this.tryOpen(sealed, purpose);
    if (secret) return secret;
    throw new CannotUnseal();
  }

  /** Null for what none of the keys has sealed for this purpose, or what was changed since. */
  tryOpen(sealed: Buffer, purpose: string): Buffer | null {
    const key = this.keys.get(sealed.subarray(0, HEAD_BYTES).toString('hex'));
    if (!key) return null;
    try {
      const nonce = sealed.subarray(HEAD_BYTES, HEAD_BYTES + NONCE_BYTES);
      const cipher = createDecipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES })
        .setAAD(Buffer.from(purpose))
        .setAuthTag(sealed.subarray(-TAG_BYTES));
      const secret = cipher.update(sealed.subarray(HEAD_BYTES + NONCE_BYTES, -TAG_BYTES));
      return Buffer.concat([secret, cipher.final()]);
    } catch {
      return null;
    }
  }
}

/** Says which key it is, and nothing else of it. */
function headOf(key: Buffer): Buffer {
  const fingerprint = createHmac('sha256', key).update('varve secrets key').digest();
  return Buffer.concat([FORMAT, fingerprint.subarray(0, FINGERPRINT_BYTES)]);
}
