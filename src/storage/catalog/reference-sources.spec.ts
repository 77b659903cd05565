import { describe, expect, it } from '@jest/globals';
import { ReferenceSourceRegistry } from './reference-sources.js';

describe('ReferenceSourceRegistry', () => {
  it("knows storage's own references, and those that others register, once", () => {
    const sources = new ReferenceSourceRegistry();
    sources.register({ name: 'version entries', sql: 'SELECT 1 AS file_id' });
    expect(sources.all().map(({ name }) => name)).toEqual(['upload holds', 'version entries']);
    expect(() => sources.register({ name: 'version entries', sql: '' })).toThrow('twice');
  });
});
