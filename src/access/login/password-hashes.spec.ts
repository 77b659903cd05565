import { afterEach, describe, expect, it, jest } from '@jest/globals';
import argon2 from 'argon2';
import { PasswordHashes } from './password-hashes.js';

describe('PasswordHashes', () => {
  afterEach(() => {
    jest.restoreAllMocks();
  });

  it('does the same work for a user, a wrong password and nobody, from the first time on', async () => {
    const hashes = new PasswordHashes();
    const hash = await hashes.hash('right');
    const works: unknown[] = [];
    const { verify } = argon2;
    jest.spyOn(argon2, 'verify').mockImplementation((digest, ...rest) => {
      // All that the time depends on: the algorithm and its parameters, which the digest begins with.
      works.push(digest.split('$').slice(1, 4).join('$'));
      return verify(digest, ...rest);
    });
    const attempts: [string | null, string, boolean][] = [
      [null, 'right', false],
      [hash, 'right', true],
      [hash, 'wrong', false],
      [null, 'nobody has this password', false],
    ];
    for (const [known, password, matches] of attempts) {
      expect(await hashes.matches(known, password)).toBe(matches);
    }
    expect(works).toEqual(attempts.map(() => 'argon2id$v=19$m=19456,p=1,t=2'));
  });
});
