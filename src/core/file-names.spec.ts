import { describe, expect, it } from '@jest/globals';
import { hintsOfName } from './file-names.js';

describe('hintsOfName', () => {
  it.each([
    ['sales.csv', 'csv', null, 'text/csv'],
    ['a/b.c/Sales.CSV', 'csv', null, 'text/csv'],
    ['sales.csv.gz', 'csv', 'gzip', 'application/gzip'],
    ['notes.gz', null, 'gzip', 'application/gzip'],
    ['table.parquet', 'parquet', null, 'application/vnd.apache.parquet'],
    ['log.ndjson.zst', 'ndjson', 'zstd', 'application/zstd'],
    ['types.ts', 'ts', null, 'text/plain'],
    ['model.weights', 'weights', null, 'application/octet-stream'],
    ['README', null, null, 'application/octet-stream'],
    ['.gitignore', null, null, 'application/octet-stream'],
    ['trailing.', null, null, 'application/octet-stream'],
    ['a.b/c', null, null, 'application/octet-stream'],
    ['emoji.🐟', null, null, 'application/octet-stream'],
    ['', null, null, 'application/octet-stream'],
  ])('reads %p as %p, compressed with %p, of type %p', (name, fileType, compressionType, mime) => {
    expect(hintsOfName(name)).toEqual({ fileType, compressionType, mimeType: mime });
  });
});
