import { describe, expect, it } from '@jest/globals';
import { judge, rangeApplies } from './preconditions.js';

const ETAG = '"sha256-ab"';

describe('judge', () => {
  it.each([
    [{}, 'proceed'],
    [{ 'if-none-match': ETAG }, 'not-modified'],
    [{ 'if-none-match': `W/${ETAG}` }, 'not-modified'],
    [{ 'if-none-match': `"a, b", ${ETAG}` }, 'not-modified'],
    [{ 'if-none-match': '*' }, 'not-modified'],
    [{ 'if-none-match': '"other"' }, 'proceed'],
    [{ 'if-none-match': 'sha256-ab' }, 'proceed'],
    [{ 'if-match': ETAG }, 'proceed'],
    [{ 'if-match': ' * ' }, 'proceed'],
    [{ 'if-match': `"x",${ETAG}` }, 'proceed'],
    [{ 'if-match': `W/${ETAG}` }, 'failed'],
    [{ 'if-match': '"other"' }, 'failed'],
    [{ 'if-match': '' }, 'failed'],
    [{ 'if-match': '"other"', 'if-none-match': ETAG }, 'failed'],
    [{ 'if-match': ETAG, 'if-none-match': ETAG }, 'not-modified'],
    [{ 'if-modified-since': 'Fri, 20 Nov 2099 10:00:00 GMT' }, 'proceed'],
  ])('makes of %j: %s', (headers, expected) => {
    expect(judge(headers, ETAG)).toBe(expected);
  });
});

describe('rangeApplies', () => {
  it.each([
    [{}, true],
    [{ 'if-range': ETAG }, true],
    [{ 'if-range': `W/${ETAG}` }, false],
    [{ 'if-range': '"other"' }, false],
    [{ 'if-range': 'Fri, 20 Nov 2026 10:00:00 GMT' }, false],
  ])('with %j: %s', (headers, expected) => {
    expect(rangeApplies(headers, ETAG)).toBe(expected);
  });
});
