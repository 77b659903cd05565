import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { InvalidInput } from '../../core/problems.js';
import { checkInput, MAX_DEPTH } from './input-rules.js';
import { parseJson } from './body.js';

const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);

describe('the rules for all input', () => {
  it.each([
    ['NUL in a string', { a: ['x\0'] }],
    ['NUL in a name', { 'x\0': 1 }],
    ['half of a surrogate pair', { a: '\ud800' }],
    ['a number that is not finite', { a: Number.POSITIVE_INFINITY }],
    ['a member named __proto__', JSON.parse('{"a":{"__proto__":{"x":1}}}')],
  ])('refuse %s', (_, value) => {
    expect(() => checkInput(value, 'body')).toThrow(InvalidInput);
  });

  it('name the place', () => {
    expect(() => checkInput({ a: [{ b: 'x\0' }] }, 'body')).toThrow(/^body\.a\.0\.b must not/);
  });

  it('let ordinary data through, `constructor` included', () => {
    expect(() =>
      checkInput({ constructor: 'Ferrari', n: 1.5, e: '😀', z: null }, 'body'),
    ).not.toThrow();
  });
});

describe('a JSON body', () => {
  it(`nests ${MAX_DEPTH} levels and no more, however deep it is sent`, () => {
    expect(() => parseJson(Buffer.from(nested(MAX_DEPTH)))).not.toThrow();
    expect(() => parseJson(Buffer.from(nested(MAX_DEPTH + 2)))).toThrow(/nest/);
    expect(() => parseJson(Buffer.from(nested(100_000)))).toThrow(InvalidInput);
  });

  it.each(['{', '{"a":}', '[1,]', 'nul', '"\u0001"'])('is refused when broken: %s', (text) => {
    expect(() => parseJson(Buffer.from(text))).toThrow(/not JSON/);
  });

  it('is refused when it is not UTF-8', () => {
    expect(() => parseJson(Buffer.from([0x22, 0xff, 0x22]))).toThrow(/not UTF-8/);
  });

  it('never rounds a whole number: it refuses what it cannot keep', () => {
    expect(() => parseJson(Buffer.from('{"id":9007199254740993}'))).toThrow(/id.*string/);
    expect(parseJson(Buffer.from('{"id":9007199254740991}'))).toEqual({ id: 9007199254740991 });
    expect(parseJson(Buffer.from('{"x":0.12345678901234567}'))).toEqual({
      x: Number('0.12345678901234567'),
    });
    expect(parseJson(Buffer.from('{"id":"9007199254740993"}'))).toEqual({ id: '9007199254740993' });
  });

  it('comes back as it was sent', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
        const text = JSON.stringify(value);
        fc.pre(!text.includes('\\u0000') && !text.includes('__proto__') && text.isWellFormed());
        fc.pre(!/-?\d{16}/.test(text) && !/\\ud[89a-f]/i.test(text));
        expect(JSON.stringify(parseJson(Buffer.from(text)))).toBe(text);
      }),
    );
  });
});
