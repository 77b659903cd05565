import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { InvalidInput } from '../../core/problems.js';
import { Highlighter, markUp } from './highlight.js';
import { LONGEST_METADATA, metadataText } from './metadata-text.js';
import { parseQuery } from './query.js';
import { fold, slotsOf } from './slots.js';
import { canBeMeant, slipsAllowed, spellingOf, withinSlips } from './spelling.js';
import { Stems } from './stemmer.js';
import { quoteLexeme, significant, tsQueryOf } from './ts-query.js';
import { VectorSource } from './vector.js';

const words = (text: string) => [...slotsOf(text)].map(({ folded }) => folded);
const queryOf = (q: string) => tsQueryOf(parseQuery(q), Stems.NONE, new Map());

describe('words', () => {
  it.each([
    ['Sea-Ice extent', ['sea', 'ice', 'extent']],
    ['data/north_2024.csv', ['data', 'north', '2024', 'csv']],
    ['seaIceExtent', ['sea', 'ice', 'extent']],
    ['CO2', ['co', '2']],
    ['Crème Brûlée', ['creme', 'brulee']],
    ['STRASSE Straße', ['strasse', 'strasse']],
    ['ＦＵＬＬ ｗｉｄｔｈ', ['full', 'width']],
    ['й ё', ['й', 'ё']],
    ['海氷データ', ['海氷', '氷デ', 'デー', 'ータ', 'タ']],
    ['ice海', ['ice', '海']],
    ['🦊 …', []],
  ])('of %j are %j', (text, expected) => {
    expect(words(text)).toEqual(expected);
  });

  it('say where they stand, and what compound they begin', () => {
    const text = 'an iceCore';
    const [, first, second] = slotsOf(text);
    expect(text.slice(first?.start, first?.end)).toBe('ice');
    expect(first?.whole).toMatchObject({ folded: 'icecore', end: text.length });
    expect(second).toMatchObject({ folded: 'core', whole: null });
  });

  it('lie within their text and in order, whatever it is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => {
        let last = -1;
        for (const { start, end, folded } of slotsOf(text)) {
          expect(start).toBeGreaterThan(last);
          expect(end).toBeGreaterThan(start);
          expect(end).toBeLessThanOrEqual(text.length);
          expect(folded.isWellFormed()).toBe(true);
          last = start;
        }
      }),
    );
  });
});

describe('what was typed', () => {
  it.each([
    ['sea ice', `((('sea'))) & ((('ice')))`],
    ['"sea ice"', `((('sea') <-> ('ice')))`],
    ['sea -ice', `((('sea'))) & !((('ice')))`],
    ['temp*', `(('temp':*))`],
    ['sea-ice*', `((('sea') <-> 'ice':*))`],
    ['seaIce', `((('seaice')) | (('sea') <-> ('ice')))`],
    ['海氷', `((('海氷')))`],
    ['海', `(('海':*))`],
    ['-', ''],
  ])('%j becomes %s', (q, expected) => {
    expect(queryOf(q)).toBe(expected);
  });

  it('may not be endless', () => {
    expect(() => parseQuery('a '.repeat(33))).toThrow(InvalidInput);
    expect(() => parseQuery('a-'.repeat(33))).toThrow(InvalidInput);
  });

  it('knows other forms, and what was meant, except in quotation marks', () => {
    const stems = new Stems(new Map([['ices', ['ice']]]), new Set(['the']));
    const meanings = new Map([['ices', ['iced']]]);
    const query = (q: string) => tsQueryOf(significant(parseQuery(q), stems), stems, meanings);
    expect(query('ices')).toBe(`((('ices' | 'ice' | 'iced')))`);
    expect(query('"ices"')).toBe(`((('ices')))`);
    expect(query('-ices')).toBe(`!((('ices' | 'ice')))`);
    // A word that says nothing is left out, unless it is all there is.
    expect(query('the ices')).toBe(query('ices'));
    expect(query('the')).toBe(`((('the')))`);
    expect(query('the -ices')).toContain(`'the'`);
  });

  it('quotes what PostgreSQL would read as syntax', () => {
    expect(quoteLexeme(`it's \\`)).toBe(`'it''s \\\\'`);
  });
});

describe('spelling', () => {
  it('has one ASCII letter for each letter of any script', () => {
    expect(spellingOf('Sea-Ice (2024)')).toBe('sea ice 2024');
    expect(spellingOf('Климат')).toMatch(/^[a-z0-9]{6}$/);
    expect(spellingOf('Климат')).toBe(spellingOf('климат'));
  });

  it.each([
    ['climate', 'climate', 0, true],
    ['climate', 'cliamte', 1, true],
    ['climate', 'climat', 1, true],
    ['climate', 'climatte', 1, true],
    ['climate', 'clomate', 1, true],
    ['climate', 'clomatte', 1, false],
    ['climate', 'clomatte', 2, true],
    ['ab', 'abcd', 1, false],
    ['', 'a', 1, true],
  ])('%s and %s are within %d slips: %s', (one, other, slips, expected) => {
    expect(withinSlips(one, other, slips)).toBe(expected);
    expect(withinSlips(other, one, slips)).toBe(expected);
  });

  it('forgives nothing in short words, and takes numbers for no words', () => {
    expect([3, 4, 5, 7, 8].map((length) => slipsAllowed('a'.repeat(length)))).toEqual([
      0, 0, 1, 1, 2,
    ]);
    expect(['ice', 'cats', 'co2x', '2024', 'климат'].map(canBeMeant)).toEqual([
      false,
      true,
      false,
      false,
      true,
    ]);
  });
});

describe('highlights', () => {
  const highlight = (q: string, text: string) => {
    const highlighter = new Highlighter(parseQuery(q), Stems.NONE, new Map());
    return markUp(text, highlighter.spans(text, Stems.NONE));
  };

  it('mark words, words in a row, beginnings and compounds', () => {
    expect(highlight('ice', 'Ice is iced ice.')).toBe('<mark>Ice</mark> is iced <mark>ice</mark>.');
    expect(highlight('"sea ice"', 'ice sea ice')).toBe('ice <mark>sea ice</mark>');
    expect(highlight('ic*', 'iced')).toBe('<mark>iced</mark>');
    expect(highlight('seaIce', 'the sea_ice and SeaICE')).toBe(
      'the <mark>sea_ice</mark> and <mark>SeaICE</mark>',
    );
    expect(highlight('-ice sea', 'sea ice')).toBe('<mark>sea</mark> ice');
  });

  it('cut long texts around what was found, and never leave markup of others', () => {
    const text = `${'before '.repeat(100)}<b>needle</b>${' after'.repeat(100)}`;
    const html = highlight('needle', text);
    expect(html).toContain('&lt;b&gt;<mark>needle</mark>&lt;/b&gt;');
    expect(html.startsWith('…')).toBe(true);
    expect(html.endsWith('…')).toBe(true);
    expect(html.length).toBeLessThan(400);
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 600 }), fc.string(), (any, q) => {
        const shown = highlight(`${q.slice(0, 20)} a`, any);
        expect(shown.replaceAll('<mark>', '').replaceAll('</mark>', '')).not.toMatch(/[<>"']/);
        expect(shown.isWellFormed()).toBe(true);
      }),
    );
  });
});

describe('vectors', () => {
  it('have each word with its stems where it stands, and stay within bounds', () => {
    const source = new VectorSource([
      { weight: 'A', text: 'iceCores' },
      { weight: 'D', text: 'ice' },
    ]);
    expect([...source.written()]).toEqual(['ice', 'icecores', 'cores', 'ice']);
    const stems = new Stems(new Map([['cores', ['core']]]), new Set());
    expect(source.vector(stems)).toBe(`'ice':1A,7D 'icecores':1A 'cores':2A 'core':2A`);

    const endless = new VectorSource([
      { weight: 'D', text: Array.from({ length: 80_000 }, (_, at) => `word${at}x`).join(' ') },
      { weight: 'D', text: 'same '.repeat(100) },
    ]);
    expect(endless.vector(Stems.NONE).length).toBeLessThan(1_000_000);
    expect(new VectorSource([{ weight: 'D', text: 'a '.repeat(99) }]).vector(Stems.NONE)).toMatch(
      /^'a':(\d+D,){23}\d+D$/,
    );
  });
});

describe('metadata', () => {
  it('becomes lines of names and values, as many as there is room for', () => {
    expect(metadataText({ a: { b: [1, 'two', null, true] }, c: 'three' })).toBe(
      'a b: 1\na b: two\na b: true\nc: three',
    );
    const long = metadataText({ list: Array.from({ length: 9_999 }, (_, at) => `value ${at}`) });
    expect(long.length).toBeLessThanOrEqual(LONGEST_METADATA);
    expect(fold(long)).toBe(long);
  });
});
