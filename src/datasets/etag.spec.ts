import { describe, expect, it } from '@jest/globals';
import { InvalidInput } from '../core/problems.js';
import { DatasetChanged } from './dataset.problems.js';
import type { DatasetDetails } from './datasets.repository.js';
import { etagOf, isKnown, parseIfMatch, requireMatch } from './etag.js';

const dataset = { updatedMicros: '1772366400000001' } as DatasetDetails;

describe('If-Match of a dataset', () => {
  it('parses a list of entity tags, a star and nothing', () => {
    expect(parseIfMatch(undefined)).toBeNull();
    expect(parseIfMatch(' * ')).toBe('*');
    expect(parseIfMatch('"1"')).toEqual(['"1"']);
    expect(parseIfMatch('"1" , W/"2,3","" ')).toEqual(['"1"', 'W/"2,3"', '""']);
  });

  it.each(['', '1', '"1', '"1" "2"', '"1",', '*, "1"'])('refuses %j', (header) => {
    expect(() => parseIfMatch(header)).toThrow(InvalidInput);
  });

  it('passes the state that was read, any state, and whoever does not ask', () => {
    for (const ifMatch of [null, '*' as const, ['"0"', etagOf(dataset)]]) {
      expect(() => requireMatch(ifMatch, dataset)).not.toThrow();
    }
  });

  it('refuses another state, and a weak tag even of this one', () => {
    for (const tag of ['"1772366400000000"', `W/${etagOf(dataset)}`]) {
      expect(() => requireMatch([tag], dataset)).toThrow(DatasetChanged);
    }
    expect(() => requireMatch([], dataset)).toThrow(DatasetChanged);
  });
});

describe('If-None-Match of a dataset', () => {
  it('knows the present state, weakly named too, and any state by a star', () => {
    for (const header of [
      etagOf(dataset),
      `W/${etagOf(dataset)}`,
      `"0", ${etagOf(dataset)}`,
      '*',
    ]) {
      expect(isKnown(header, dataset)).toBe(true);
    }
    for (const header of [undefined, '', '"0"', dataset.updatedMicros]) {
      expect(isKnown(header, dataset)).toBe(false);
    }
  });
});
