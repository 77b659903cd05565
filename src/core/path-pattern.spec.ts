import { describe, expect, it } from '@jest/globals';
import { pathPattern } from './path-pattern.js';

describe('pathPattern', () => {
  it.each([
    ['README.md', 'README.md', true],
    ['README.md', 'readme.md', false],
    ['*.csv', 'a.csv', true],
    ['*.csv', '.csv', true],
    ['*.csv', 'a/b.csv', false],
    ['**.csv', 'a/b.csv', true],
    ['a/**', 'a/b/c', true],
    ['a/**', 'b/a/c', false],
    ['a/*/c', 'a/b/c', true],
    ['a/*/c', 'a/b/b/c', false],
    ['?.csv', '🦊.csv', true],
    ['?.csv', '/.csv', false],
    ['a.c', 'abc', false],
    ['a[1](b)', 'a[1](b)', true],
    ['', '', true],
    ['', 'a', false],
    ['***', 'a/b', true],
  ])('%j on %j: %s', (pattern, path, fits) => {
    expect(pathPattern(pattern)(path)).toBe(fits);
  });

  it('takes no longer for patterns that are meant to be slow', () => {
    const fits = pathPattern(`${'**a'.repeat(80)}b`);
    expect(fits('a'.repeat(1024))).toBe(false);
  });
});
