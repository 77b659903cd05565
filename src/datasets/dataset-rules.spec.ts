import { describe, expect, it } from '@jest/globals';
import {
  descriptionComplaint,
  MAX_METADATA_BYTES,
  metadataComplaint,
  nameComplaint,
  tagComplaint,
  tagRule,
  tagsComplaint,
} from './dataset-rules.js';

describe('the rules for what describes a dataset', () => {
  it.each([
    'sea-ice',
    'a',
    'Wetter 2026: Wärme & Wind / “Nord”',
    'e\u0301',
    '数据集 🧊',
    '..',
    '.hidden',
    'x'.repeat(255),
    '🧊'.repeat(255),
  ])('takes the name %j', (name) => expect(nameComplaint(name)).toBeNull());

  it.each([
    ['', 'empty'],
    [' a', 'white space'],
    ['a ', 'white space'],
    ['\u00a0a', 'white space'],
    ['a\nb', 'control'],
    ['a\0', 'control'],
    ['a\u2028b', 'control'],
    ['a\ud800', 'surrogate'],
    ['x'.repeat(256), '255'],
    [7, 'text'],
    [undefined, 'text'],
  ])('refuses the name %j and says why', (name, why) => expect(nameComplaint(name)).toContain(why));

  it('takes any description that can be stored, up to its length', () => {
    expect(descriptionComplaint('# Ice\n\n\tdaily\r\n')).toBeNull();
    expect(descriptionComplaint('')).toBeNull();
    expect(descriptionComplaint('x'.repeat(10_000))).toBeNull();
    expect(descriptionComplaint('x'.repeat(10_001))).toContain('10000');
    expect(descriptionComplaint('a\0')).toContain('NUL');
    expect(descriptionComplaint('\udc00')).toContain('surrogate');
    expect(descriptionComplaint(null)).toContain('text');
  });

  it('takes metadata that is an object of at most 64 KiB, counted in bytes', () => {
    const overhead = '{"a":""}'.length;
    expect(metadataComplaint({ a: 'x'.repeat(MAX_METADATA_BYTES - overhead) })).toBeNull();
    expect(metadataComplaint({ a: 'x'.repeat(MAX_METADATA_BYTES - overhead + 1) })).toContain(
      '65536',
    );
    expect(metadataComplaint({ a: 'ä'.repeat(MAX_METADATA_BYTES / 2) })).toContain('65536');
    for (const other of [[], null, 'text', 3]) {
      expect(metadataComplaint(other)).toContain('object');
    }
  });

  it.each(['climate', 'task:text-classification', '2026', 'océan', 'a/b', 'c++', 'x'.repeat(64)])(
    'takes the tag %j',
    (tag) => expect(tagComplaint(tag)).toBeNull(),
  );

  it.each(['', ' a', 'a b', 'a,b', '-a', '..', 'a\0', 'a\ud800', 'x'.repeat(65), 7])(
    'refuses the tag %j',
    (tag) => expect(tagComplaint(tag)).toEqual(expect.any(String)),
  );

  it('takes up to 50 different tags, and names the one that is none', () => {
    const tags = Array.from({ length: 50 }, (_, index) => `tag-${index}`);
    expect(tagsComplaint([...tags, 'tag-0'])).toBeNull();
    expect(tagsComplaint([...tags, 'one-more'])).toContain('50');
    expect(tagsComplaint(['a', 'b c'])).toContain('number 2');
    expect(tagsComplaint('a')).toContain('list');
  });

  it('holds the parameters of a route to the same rules', () => {
    const metadata = { type: 'param' as const };
    expect(tagRule.transform('ice', metadata)).toBe('ice');
    expect(() => tagRule.transform('a b', metadata)).toThrow(/^tag takes letters/);
  });
});
