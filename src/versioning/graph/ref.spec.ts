import { describe, expect, it } from '@jest/globals';
import { InvalidInput } from '../../core/problems.js';
import { isImmutable, parsePointerName, parseRef, pointerNameComplaint } from './ref.js';

const digest = 'ab'.repeat(32);

describe('parseRef', () => {
  it.each([
    ['main', { kind: 'pointer', name: 'main' }, 0],
    ['feature/a', { kind: 'pointer', name: 'feature/a' }, 0],
    ['v1.0', { kind: 'pointer', name: 'v1.0' }, 0],
    ['straße/日本', { kind: 'pointer', name: 'straße/日本' }, 0],
    ['12', { kind: 'number', versionNumber: 12 }, 0],
    ['2147483647', { kind: 'number', versionNumber: 2147483647 }, 0],
    [digest, { kind: 'digest', digest }, 0],
    ['main~3', { kind: 'pointer', name: 'main' }, 3],
    ['12~', { kind: 'number', versionNumber: 12 }, 1],
    [`${digest}~0`, { kind: 'digest', digest }, 0],
    ['draft:7', { kind: 'draft', id: 7 }, 0],
  ])('reads %s', (text, base, generations) => {
    expect(parseRef(text)).toEqual({ base, generations });
  });

  it.each([
    '',
    '~1',
    '0',
    '007',
    '2147483648',
    '99999999999999999999',
    'main~x',
    'main~1~2',
    'main~-1',
    'main~9999999999',
    'draft:',
    'draft:0',
    'draft:x',
    'draft:7~1',
    'a b',
    digest.toUpperCase(),
    'main\n',
  ])('refuses %j', (text) => {
    expect(() => parseRef(text)).toThrow(InvalidInput);
  });

  it('tells what never changes from what moves', () => {
    expect(isImmutable(parseRef('12~2'))).toBe(true);
    expect(isImmutable(parseRef(digest))).toBe(true);
    expect(isImmutable(parseRef('main'))).toBe(false);
    expect(isImmutable(parseRef('draft:1'))).toBe(false);
  });
});

describe('parsePointerName', () => {
  it.each(['main', 'a', 'a.b', 'feature', 'feature/a', 'x@y', '1a', 'ab'.repeat(33), '🦊'])(
    'takes %j',
    (name) => {
      expect(parsePointerName(name)).toBe(name);
    },
  );

  it.each([
    ['', /empty/],
    [3, /text/],
    ['12', /digits/],
    ['0', /digits/],
    [digest, /digest/],
    [digest.toUpperCase(), /digest/],
    ['a b', /spaces/],
    ['a~1', /spaces/],
    ['a^', /spaces/],
    ['draft:1', /spaces/],
    ['a?', /spaces/],
    ['a*', /spaces/],
    ['a[', /spaces/],
    ['a\\b', /spaces/],
    ['a\u0000', /spaces/],
    ['@', /@/],
    ['a@{1}', /@/],
    ['a..b', /"\.\."/],
    ['-a', /begin with "-"/],
    ['a.', /end with "\."/],
    ['/a', /"\/"/],
    ['a/', /"\/"/],
    ['a//b', /"\/"/],
    ['.a', /begins with/],
    ['a/.b', /begins with/],
    ['a.lock', /\.lock/],
    ['a.lock/b', /\.lock/],
    ['\ud800', /surrogate/],
    ['x'.repeat(256), /255 bytes/],
  ])('refuses %j and says why', (name, reason) => {
    expect(pointerNameComplaint(name)).toMatch(reason);
    expect(() => parsePointerName(name)).toThrow(InvalidInput);
  });
});
