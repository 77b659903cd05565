import { describe, expect, it } from '@jest/globals';
import type { Sha256 } from '../../core/ids.js';
import { parseRemovalRecord, removalRecord, sameTombstone } from './removal-record.js';

const digest = (digit: string) => digit.repeat(64) as Sha256;

const record = {
  dataset: { id: 3, name: 'ice' },
  cause: 'retention' as const,
  by: null,
  time: '2026-11-20T12:00:00.000Z',
  versions: [
    { number: 1, digest: digest('1'), parents: [] },
    { number: 2, digest: digest('2'), parents: [digest('1')] },
  ],
};

describe('a removal record', () => {
  it('is canonical, and read back as it was written', () => {
    const text = removalRecord(record);
    expect(text).toMatch(/^\{"\$format":"varve.removal\/1","by":null,"cause":"retention"/);
    const versions = parseRemovalRecord(text);
    expect(versions?.get(2)).toEqual(record.versions[1]);
    expect(versions?.size).toBe(2);
  });

  it.each(['', '{}', '{"$format":"varve.version/1","versions":[]}', 'null', '[1]'])(
    'is not %j',
    (text) => {
      expect(parseRemovalRecord(text)).toBeNull();
    },
  );

  it('tells tombstones apart by all that they say', () => {
    const tombstone = { number: 2, digest: digest('2'), parents: [digest('1')] };
    expect(sameTombstone(record.versions[1], tombstone)).toBe(true);
    expect(sameTombstone(record.versions[0], tombstone)).toBe(false);
    expect(sameTombstone(undefined, tombstone)).toBe(false);
    expect(sameTombstone({ ...tombstone, parents: [] }, tombstone)).toBe(false);
  });
});
