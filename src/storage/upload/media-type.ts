import { MIMEType } from 'node:util';
import { hintsOfName, type NameHints } from '../../core/file-names.js';

const MAX_LENGTH = 255;

/** What clients say when nobody told them what they send: it says nothing. */
const MEANINGLESS = new Set(['application/octet-stream', 'application/x-www-form-urlencoded']);

/** What an upload says of itself, and failing that what its name says. */
export function describeUpload(
  name: string | null,
  declared: {
    readonly mimeType?: string | undefined;
    readonly fileType?: string | undefined;
    readonly compressionType?: string | undefined;
  },
): NameHints {
  const hints = hintsOfName(name ?? '');
  return {
    fileType: declared.fileType?.toLowerCase() ?? hints.fileType,
    compressionType: declared.compressionType?.toLowerCase() ?? hints.compressionType,
    mimeType: meaningfulType(declared.mimeType) ?? hints.mimeType,
  };
}

/** The media type in its normal form; undefined for one that is malformed or says nothing. */
function meaningfulType(text: string | undefined): string | undefined {
  if (text === undefined || text.length > MAX_LENGTH) return undefined;
  let type: MIMEType;
  try {
    type = new MIMEType(text);
  } catch {
    return undefined;
  }
  return MEANINGLESS.has(type.essence) ? undefined : type.toString();
}
