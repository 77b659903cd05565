import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { randomBytes } from 'node:crypto';
import { CannotUnseal, SecretBox } from './secret-box.js';

const key = () => randomBytes(32);
const bytes = fc.uint8Array({ maxLength: 100 }).map((one) => Buffer.from(one));

describe('a secret box', () => {
  it('gives back what it has sealed, and seals nothing twice alike', () => {
    const box = new SecretBox([key()]);
    fc.assert(
      fc.property(bytes, fc.string(), (secret, purpose) => {
        const sealed = box.seal(secret, purpose);
        expect(box.open(sealed, purpose)).toEqual(secret);
        expect(box.seal(secret, purpose)).not.toEqual(sealed);
        expect(secret.length > 8 && sealed.includes(secret)).toBe(false);
      }),
    );
  });

  it('opens nothing that was changed, cut, or sealed for something else', () => {
    const box = new SecretBox([key()]);
    const sealed = box.seal(randomBytes(32), 'webhooks');
    for (let at = 0; at < sealed.length; at++) {
      const changed = Buffer.from(sealed);
      changed[at]! ^= 1;
      expect(() => box.open(changed, 'webhooks')).toThrow(CannotUnseal);
      expect(() => box.open(sealed.subarray(0, at), 'webhooks')).toThrow(CannotUnseal);
    }
    expect(() => box.open(sealed, 'webhook')).toThrow(CannotUnseal);
    expect(() => box.open(randomBytes(32), 'webhooks')).toThrow(CannotUnseal);
  });

  it('seals with the newest of its keys, and opens with each', () => {
    const [older, newer] = [key(), key()];
    const before = new SecretBox([older]).seal(Buffer.from('x'), 'p');
    const box = new SecretBox([newer, older]);
    expect(box.open(before, 'p')).toEqual(Buffer.from('x'));
    expect(box.isNewest(before)).toBe(false);
    const after = box.seal(Buffer.from('x'), 'p');
    expect(box.isNewest(after)).toBe(true);
    expect(() => new SecretBox([older]).open(after, 'p')).toThrow(CannotUnseal);
  });
});
