import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { JsonValue } from '../../core/json.js';
import { InvalidInput } from '../../core/problems.js';
import { decodeCursor, encodeCursor, toPage, toWholeNumber } from './paging.js';

const isPair = (value: unknown): value is [string, number] =>
  Array.isArray(value) &&
  value.length === 2 &&
  typeof value[0] === 'string' &&
  typeof value[1] === 'number';

describe('a cursor', () => {
  it('comes back as what it was made of', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.integer(), (text, number) => {
        expect(decodeCursor(encodeCursor([text, number]), isPair)).toEqual([text, number]);
      }),
    );
  });

  it('is refused when it is forged, damaged or of another list', () => {
    const anyJson = (value: unknown): value is JsonValue => value !== undefined;
    expect(() => decodeCursor('not base64 ?', anyJson)).toThrow(InvalidInput);
    expect(() => decodeCursor(encodeCursor({ other: 1 }), isPair)).toThrow(InvalidInput);
    expect(() => decodeCursor(`${encodeCursor(['a', 1])}=`, isPair)).toThrow(InvalidInput);
    fc.assert(
      fc.property(fc.string(), (text) => {
        fc.pre(!text.startsWith('W'));
        expect(() => decodeCursor(text, isPair)).toThrow(InvalidInput);
      }),
    );
  });
});

describe('a page', () => {
  const rows = [1, 2, 3].map((id) => ({ id }));

  it('knows from one row more than its limit that others follow', () => {
    const page = toPage(
      rows,
      2,
      ({ id }) => id,
      ({ id }) => `item ${id}`,
    );
    expect(page.items).toEqual(['item 1', 'item 2']);
    expect(page.nextCursor).toBe(encodeCursor(2));
  });

  it('ends the list where no row follows', () => {
    expect(
      toPage(
        rows,
        3,
        ({ id }) => id,
        ({ id }) => id,
      ).nextCursor,
    ).toBeNull();
    expect(
      toPage(
        [],
        3,
        () => null,
        () => 0,
      ),
    ).toEqual({ items: [], nextCursor: null });
  });
});

describe('a whole number in a query', () => {
  it('is read; everything else is left for validation to refuse', () => {
    expect(toWholeNumber({ value: '-12' })).toBe(-12);
    expect(toWholeNumber({ value: '1.5' })).toBe('1.5');
    expect(toWholeNumber({ value: '99999999999999999999' })).toBe('99999999999999999999');
    expect(toWholeNumber({ value: ['1'] })).toEqual(['1']);
  });
});
