import { describe, expect, it } from '@jest/globals';
import { hashSecret, makeSecret, prefixOf } from './key-secret.js';

describe('key secrets', () => {
  it('are 256 random bits behind a recognisable beginning', () => {
    const secrets = new Set(Array.from({ length: 100 }, makeSecret));
    expect(secrets.size).toBe(100);
    for (const secret of secrets) {
      expect(secret).toMatch(/^varve_/);
      expect(Buffer.from(secret.slice(6), 'base64url')).toHaveLength(32);
    }
  });

  it('are stored as their SHA-256', () => {
    expect(hashSecret('abc')).toBe(
      'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
    );
  });

  it('show little of themselves, and at most a quarter of what somebody chose', () => {
    expect(prefixOf(makeSecret())).toMatch(/^varve_.{6}$/);
    expect(prefixOf('sixteen letters!')).toBe('sixt');
  });
});
