import { create as contentDisposition } from 'content-disposition';
import type { Sha256 } from '../../core/ids.js';

const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const QUOTED = '"(?:[\\t \\x21\\x23-\\x5b\\x5d-\\x7e]|\\\\[\\t \\x21-\\x7e])*"';
const MEDIA_TYPE = new RegExp(
  `^${TOKEN}/${TOKEN}(?:[ \\t]*;[ \\t]*${TOKEN}=(?:${TOKEN}|${QUOTED}))*$`,
);
const MAX_MEDIA_TYPE = 255;

const YEAR_SECONDS = 365 * 24 * 60 * 60;

/** The entity tag of a content: strong, as no other bytes can have it. */
export function entityTag(sha256: Sha256): string {
  return `"sha256-${sha256}"`;
}

/** What an answer with (a part of) a content, or that it has not changed, says in any case. */
export function cacheHeaders(sha256: Sha256, immutable: boolean): Record<string, string> {
  return {
    ETag: entityTag(sha256),
    'Cache-Control': immutable
      ? `private, max-age=${YEAR_SECONDS}, immutable`
      : 'private, no-cache',
  };
}

/**
 * What describes a content. Whatever it is, a browser only saves it: it neither guesses another
 * type, nor lets it run, nor embeds it anywhere.
 */
export function contentHeaders(
  content: { readonly sha256: Sha256; readonly mimeType: string },
  downloadName: string,
): Record<string, string> {
  return {
    'Content-Type': safeMediaType(content.mimeType),
    'Content-Disposition': attachment(downloadName),
    'X-Content-Type-Options': 'nosniff',
    'Content-Security-Policy': "sandbox; default-src 'none'",
    'Cross-Origin-Resource-Policy': 'same-origin',
    'Accept-Ranges': 'bytes',
    'Repr-Digest': `sha-256=:${Buffer.from(content.sha256, 'hex').toString('base64')}:`,
  };
}

/** The media type as it was given, where it is one. */
function safeMediaType(mimeType: string): string {
  return mimeType.length <= MAX_MEDIA_TYPE && MEDIA_TYPE.test(mimeType)
    ? mimeType
    : 'application/octet-stream';
}

/** Offers a name (RFC 6266) without the folders that may be in it. */
function attachment(name: string): string {
  const lastSegment = name.slice(Math.max(name.lastIndexOf('/'), name.lastIndexOf('\\')) + 1);
  return contentDisposition(lastSegment.toWellFormed() || 'download');
}
