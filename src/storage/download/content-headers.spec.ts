import { describe, expect, it } from '@jest/globals';
import { parse } from 'content-disposition';
import fc from 'fast-check';
import { validateHeaderValue } from 'node:http';
import type { Sha256 } from '../../core/ids.js';
import { cacheHeaders, contentHeaders } from './content-headers.js';

const SHA256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855' as Sha256;

const headersOf = (mimeType: string, name = 'a.csv') =>
  contentHeaders({ sha256: SHA256, mimeType }, name);

describe('contentHeaders', () => {
  it('keeps whatever was uploaded from running in the origin of the server', () => {
    expect(headersOf('text/html')).toMatchObject({
      'Content-Type': 'text/html',
      'Content-Disposition': 'attachment; filename=a.csv',
      'X-Content-Type-Options': 'nosniff',
      'Content-Security-Policy': "sandbox; default-src 'none'",
      'Cross-Origin-Resource-Policy': 'same-origin',
    });
  });

  it('tells the digest of the whole content as RFC 9530 writes it', () => {
    expect(headersOf('text/csv')['Repr-Digest']).toBe(
      'sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:',
    );
  });

  it.each(['text/csv; charset=utf-8', 'application/vnd.x+json;a="b\\"c"', 'a/b'])(
    'passes the media type %s on',
    (mimeType) => expect(headersOf(mimeType)['Content-Type']).toBe(mimeType),
  );

  it.each([
    '',
    'text',
    'text/',
    'text/html\r\nX-Evil: 1',
    'text/html\0',
    'tex t/html',
    'text/html; charset',
    'text/plain; a="b',
    'téxt/plain',
    `text/${'x'.repeat(300)}`,
  ])('sends an odd media type, %j, as mere bytes', (mimeType) =>
    expect(headersOf(mimeType)['Content-Type']).toBe('application/octet-stream'),
  );

  it.each([
    ['plain.csv', 'attachment; filename=plain.csv'],
    ['two words.csv', 'attachment; filename="two words.csv"'],
    ['say "hi"\\.csv', 'attachment; filename=.csv'],
    ['a"b.csv', 'attachment; filename="a\\"b.csv"'],
    ['über.csv', 'attachment; filename="?ber.csv"; filename*=UTF-8\'\'%C3%BCber.csv'],
    ['🌊.csv', 'attachment; filename="??.csv"; filename*=UTF-8\'\'%F0%9F%8C%8A.csv'],
    ['folder/name.csv', 'attachment; filename=name.csv'],
    ['..', 'attachment; filename=..'],
    ['folder/', 'attachment; filename=download'],
    [
      'a\r\nSet-Cookie: x=1',
      'attachment; filename="a??Set-Cookie: x=1"; filename*=UTF-8\'\'a%0D%0ASet-Cookie%3A%20x%3D1',
    ],
    ['\ud800.csv', 'attachment; filename="?.csv"; filename*=UTF-8\'\'%EF%BF%BD.csv'],
  ])('offers the name %j', (name, expected) =>
    expect(headersOf('text/csv', name)['Content-Disposition']).toBe(expected),
  );

  it('makes a header of any name, from which that name comes back', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 50 }), (name) => {
        const header = headersOf('text/csv', name)['Content-Disposition']!;
        expect(() => validateHeaderValue('Content-Disposition', header)).not.toThrow();
        expect(header).toMatch(/^[\x20-\x7e]*$/);
        const { type, parameters } = parse(header);
        expect(type).toBe('attachment');
        expect(parameters['filename']).toBe(/[^/\\]*$/.exec(name)![0].toWellFormed() || 'download');
      }),
    );
  });
});

describe('cacheHeaders', () => {
  it('lets a content that cannot change be kept, and others only with a question', () => {
    expect(cacheHeaders(SHA256, true)).toEqual({
      ETag: `"sha256-${SHA256}"`,
      'Cache-Control': 'private, max-age=31536000, immutable',
    });
    expect(cacheHeaders(SHA256, false)['Cache-Control']).toBe('private, no-cache');
  });
});
