import { z } from 'zod';
import type { JsonObject } from '../core/json.js';
import { InvalidInput } from '../core/problems.js';
import { TABLE_FORMATS, TEXT_ENCODINGS, type ReaderOptions } from './engine/source.js';

/** The member of a version entry's metadata that says how the file is to be read. */
export const OPTIONS_MEMBER = 'table';

const oneCharacter = z.string().regex(/^[^\n\r]$/u, 'takes one character');

/** The engine takes a delimiter of any script, and quotes of one byte. */
const oneByte = z.string().regex(/^[\t\x20-\x7e]$/, 'takes one character of ASCII');

const schema = z
  .strictObject({
    format: z.enum(TABLE_FORMATS).optional(),
    delimiter: oneCharacter.optional(),
    quote: z.union([oneByte, z.literal('')]).optional(),
    escape: z.union([oneByte, z.literal('')]).optional(),
    header: z.boolean().optional(),
    skip: z.int().min(0).max(1_000_000).optional(),
    encoding: z.enum(TEXT_ENCODINGS).optional(),
    sheet: z.string().min(1).max(255).optional(),
    range: z
      .string()
      .regex(/^[A-Z]{1,3}[1-9]\d{0,6}:[A-Z]{1,3}[1-9]\d{0,6}$/, 'takes cells such as B2:F200')
      .optional(),
  })
  .refine(({ delimiter, quote = '"' }) => delimiter !== quote, {
    path: ['quote'],
    message: 'takes another character than delimiter',
  });

/**
 * How an entry's metadata says that its file is to be read.
 * @throws InvalidInput for options that there are not
 */
export function readerOptionsOf(metadata: JsonObject | null, sheet?: string): ReaderOptions {
  const parsed = schema.safeParse(metadata?.[OPTIONS_MEMBER] ?? {});
  if (!parsed.success) {
    const errors = parsed.error.issues.map(({ path, message }) => ({
      at: ['metadata', OPTIONS_MEMBER, ...path].join('.'),
      message,
    }));
    throw new InvalidInput(
      `The file's metadata say how to read it in a way that is not known (${errors[0]?.at} ${errors[0]?.message}); put it anew with other metadata.`,
      errors,
    );
  }
  const given = Object.entries(parsed.data).filter(([, value]) => value !== undefined);
  return { ...(Object.fromEntries(given) as ReaderOptions), ...(sheet !== undefined && { sheet }) };
}

/**
 * The same, or null where whoever put the file there said nonsense of how to read it: that is told to
 * those who ask for the table.
 */
export function readerOptionsOrNull(metadata: JsonObject | null): ReaderOptions | null {
  try {
    return readerOptionsOf(metadata);
  } catch {
    return null;
  }
}
