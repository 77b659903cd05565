import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { InvalidInput } from '../../core/problems.js';
import { afterPrefix, comparePaths, parsePath, pathComplaint, prefixEnd } from './path.js';

const anyText = fc.string({ unit: 'grapheme', maxLength: 12 });
/** Code points where UTF-16 and UTF-8 order differently, and a few ordinary ones. */
const awkward = fc
  .array(fc.constantFrom('a', 'b', '/', '\ud7ff', '\ue000', '\uffff', '\u{10000}', '\u{10ffff}'), {
    maxLength: 6,
  })
  .map((parts) => parts.join(''));
const bytes = (text: string) => Buffer.from(text, 'utf8');

describe('pathComplaint', () => {
  it.each([
    ['..', /"\.\."/],
    ['a/../b', /"\.\."/],
    ['a/..', /"\.\."/],
    ['..\\windows', /"\.\."/],
    ['a\\..\\..\\b', /"\.\."/],
    ['a/..\\b', /"\.\."/],
    ['.', /"\." seg/],
    ['a/./b', /"\." seg/],
    ['a\\.\\b', /"\." seg/],
    ['/etc/passwd', /relative/],
    ['\\\\server\\share', /relative/],
    ['C:\\x', /relative/],
    ['c:/x', /relative/],
    ['', /empty/],
    ['a//b', /empty seg/],
    ['a/', /empty seg/],
    ['a\0b', /NUL/],
    ['a\nb', /control/],
    ['a\u0085b', /control/],
    ['a\u007f', /control/],
    ['\ud800', /surrogate/],
    ['x\udc00y', /surrogate/],
    ['x'.repeat(1025), /1024 bytes/],
    ['ä'.repeat(513), /1024 bytes/],
    [12, /text/],
    [undefined, /text/],
  ])('refuses %j and says why', (path, reason) => {
    expect(pathComplaint(path)).toMatch(reason);
    expect(() => parsePath(path, 'operations.0.path')).toThrow(InvalidInput);
  });

  it.each([
    'README.md',
    'a/b/c.csv',
    '...',
    '..a',
    'a..',
    '.hidden',
    '%2e%2e%2fetc',
    'a\\b',
    'C:',
    'x'.repeat(1024),
    'ä'.repeat(512),
    'caf\u00e9',
    'cafe\u0301',
    '👩‍👩‍👧/🦊.csv',
    `it's "quoted" <b>`,
    ' leading and trailing ',
    '__proto__',
    '\u202eevil',
  ])('accepts %j and gives it back exactly', (path) => {
    expect(parsePath(path)).toBe(path);
  });
});

describe('comparePaths', () => {
  it('orders as the bytes of UTF-8 do', () => {
    fc.assert(
      fc.property(fc.oneof(awkward, anyText), fc.oneof(awkward, anyText), (a, b) => {
        expect(Math.sign(comparePaths(a, b))).toBe(Buffer.compare(bytes(a), bytes(b)));
      }),
    );
  });
});

describe('prefixEnd and afterPrefix', () => {
  it('bound exactly what starts with the prefix', () => {
    fc.assert(
      fc.property(awkward, fc.oneof(awkward, anyText), awkward, (prefix, text, rest) => {
        const end = prefixEnd(prefix);
        for (const candidate of [text, prefix + rest]) {
          const inRange =
            comparePaths(candidate, prefix) >= 0 &&
            (end === null || comparePaths(candidate, end) < 0);
          expect(inRange).toBe(candidate.startsWith(prefix));
          if (candidate.startsWith(prefix)) {
            expect(comparePaths(candidate, afterPrefix(prefix))).toBeLessThan(0);
          } else if (comparePaths(candidate, prefix) > 0) {
            expect(comparePaths(candidate, afterPrefix(prefix))).toBeGreaterThan(0);
          }
        }
      }),
    );
  });

  it('knows that nothing is greater than the greatest characters', () => {
    expect(prefixEnd('')).toBeNull();
    expect(prefixEnd('\u{10ffff}\u{10ffff}')).toBeNull();
    expect(prefixEnd('a\u{10ffff}')).toBe('b');
    expect(prefixEnd('\ud7ff')).toBe('\ue000');
  });
});
