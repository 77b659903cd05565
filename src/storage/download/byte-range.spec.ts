import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { parseByteRange } from './byte-range.js';

describe('parseByteRange', () => {
  it.each([
    ['bytes=0-0', 10, { start: 0, end: 1 }],
    ['bytes=2-5', 10, { start: 2, end: 6 }],
    ['BYTES = 2-5 ', 10, { start: 2, end: 6 }],
    ['bytes=2-5,', 10, { start: 2, end: 6 }],
    ['bytes=7-', 10, { start: 7, end: 10 }],
    ['bytes=7-99999999999999999999999', 10, { start: 7, end: 10 }],
    ['bytes=-3', 10, { start: 7, end: 10 }],
    ['bytes=-30', 10, { start: 0, end: 10 }],
    ['bytes=10-', 10, 'unsatisfiable'],
    ['bytes=10-12', 10, 'unsatisfiable'],
    ['bytes=-0', 10, 'unsatisfiable'],
    ['bytes=0-', 0, 'unsatisfiable'],
    ['bytes=-1', 0, null],
  ])('reads %s of %d bytes', (header, size, expected) => {
    expect(parseByteRange(header, size)).toEqual(expected);
  });

  it.each([
    'bytes',
    'bytes=',
    'bytes=-',
    'bytes=5-2',
    'bytes=1-2-3',
    'bytes=a-b',
    'bytes=1x-2',
    'bytes=+1-2',
    'bytes=1-2=3',
    'lines=0-1',
    'bytes=0-1,3-4',
    'bytes=0-1, bytes=3-4',
  ])('ignores %j, as it is malformed, of another unit or asks for several', (header) => {
    expect(parseByteRange(header, 10)).toBeNull();
  });

  it('gives a part of the content, whatever is asked', () => {
    const position = fc.oneof(fc.constant(''), fc.nat(2000).map(String));
    fc.assert(
      fc.property(position, position, fc.nat(1000), (first, last, size) => {
        const range = parseByteRange(`bytes=${first}-${last}`, size);
        if (range === null || range === 'unsatisfiable') return;
        expect(range.start).toBeGreaterThanOrEqual(0);
        expect(range.start).toBeLessThan(range.end);
        expect(range.end).toBeLessThanOrEqual(size);
      }),
    );
  });
});
