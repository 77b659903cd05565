import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { parseColumns, parseOrder } from './column-list.js';
import { InvalidFilter } from './invalid-filter.js';
import { parseFilter } from './parse.js';

describe('a filter', () => {
  it('binds and closer than or', () => {
    expect(parseFilter('a = 1 OR b = 2 AND NOT c IS NULL')).toMatchObject({
      kind: 'or',
      parts: [
        { kind: 'compare', column: 'a' },
        { kind: 'and', parts: [{ column: 'b' }, { kind: 'not', part: { kind: 'null' } }] },
      ],
    });
  });

  it.each([
    '',
    'a',
    'a =',
    'a = b',
    'a = 1 or',
    '(a = 1',
    'a = 1)',
    'a in ()',
    'a in (1',
    'a in 1',
    'a is 1',
    'a not = 1',
    'a contains 1',
    "a = 'x",
    'a = 1; drop table x',
    'a = 1 -- x',
    'a like 1',
    "'a' = 1",
    `a in (${Array.from({ length: 1001 }, (_, n) => n).join(',')})`,
    `${'('.repeat(60)}a = 1${')'.repeat(60)}`,
    `${'not '.repeat(60)}a = 1`,
    `${'('.repeat(100_000)}`,
  ])('%p is none', (text) => {
    expect(() => parseFilter(text)).toThrow(InvalidFilter);
  });

  it('throws nothing else, whatever it is given', () => {
    const piece = fc.oneof(
      fc.constantFrom('a', '=', '(', ')', 'and', 'or', 'not', 'in', 'is', 'null', ',', "'x'", '1'),
      fc.string(),
    );
    fc.assert(
      fc.property(fc.array(piece), (pieces) => {
        try {
          parseFilter(pieces.join(' '));
        } catch (error) {
          expect(error).toBeInstanceOf(InvalidFilter);
        }
      }),
    );
  });
});

describe('a list of columns', () => {
  it('takes names in quotes', () => {
    expect(parseColumns('a, "b,c" ,"d""e:f",Temp. max')).toEqual([
      'a',
      'b,c',
      'd"e:f',
      'Temp. max',
    ]);
    expect(parseOrder('a:desc, "b:x":ASC,c')).toEqual([
      { column: 'a', descending: true },
      { column: 'b:x', descending: false },
      { column: 'c', descending: false },
    ]);
  });

  it.each(['a,,b', '"a', ':desc', 'a:up', ','])('%p is none', (text) => {
    expect(() => parseOrder(text)).toThrow(InvalidFilter);
  });

  it('has no direction where nothing is sorted', () => {
    expect(() => parseColumns('a:desc')).toThrow(InvalidFilter);
  });
});
