import type { Session } from '../session.js';
import { identifier } from '../sql-text.js';

/** A column as the engine's sniffer has it. */
export interface SniffedColumn {
  readonly name: string;
  readonly type: string;
}

export interface SniffedFormats {
  readonly dateFormat: string | null;
  readonly timestampFormat: string | null;
}

/** Whole numbers that 64 bits may not hold; what stands behind a point or is an exponent is none. */
const LONG_NUMBER = /(^|[^\d.])\d{19,}([^\d.]|$)/m;
const ZONED = '\\d:\\d\\d.*([+-]\\d\\d(:?\\d\\d)?|[A-Za-z]+)\\s*$';
const SAMPLE_ROWS = 20_480;
const COLUMNS_PER_PASS = 500;

/**
 * Mends what the engine's sniffer gets wrong: it takes whole numbers beyond 64 bits for floating point,
 * which rounds them, and dates in several formats for dates in the last one's.
 * @param texts a FROM clause that gives every value as text
 * @param head the beginning of the text
 * @param wholeSample whether to look at all of it, since a sample of it is known to mislead
 */
export async function settleTypes(
  session: Session,
  texts: string,
  columns: readonly SniffedColumn[],
  formats: SniffedFormats,
  { head, wholeSample }: { readonly head: string; readonly wholeSample: boolean },
): Promise<SniffedColumn[]> {
  const mayRound = wholeSample || LONG_NUMBER.test(head);
  const doubtful = columns.filter(
    ({ type }) =>
      (type === 'DOUBLE' && mayRound) || (wholeSample && /^(DATE|TIMESTAMP)/.test(type)),
  );
  const rows = wholeSample ? texts : `(SELECT * FROM ${texts} LIMIT ${SAMPLE_ROWS})`;
  const settled = new Map<string, string>();
  for (let at = 0; at < doubtful.length; at += COLUMNS_PER_PASS) {
    const some = doubtful.slice(at, at + COLUMNS_PER_PASS);
    const misfits = some.flatMap((column) => misfitsOf(column, formats));
    const counts = await session.row<string[]>(`SELECT ${misfits.join(', ')} FROM ${rows}`);
    some.forEach(({ name, type }, place) => {
      const [misfitting, beyond] = counts.slice(2 * place, 2 * place + 2).map(Number);
      if (type !== 'DOUBLE') settled.set(name, misfitting ? 'VARCHAR' : type);
      else if (!misfitting) settled.set(name, beyond ? 'VARCHAR' : 'HUGEINT');
    });
  }
  return columns.map(({ name, type }) => ({ name, type: settled.get(name) ?? type }));
}

/** How many values are not what they were taken for, and how many of those are beyond 128 bits. */
function misfitsOf({ name, type }: SniffedColumn, formats: SniffedFormats): [string, string] {
  const value = identifier(name);
  const misfitting = (test: string) => `count(*) FILTER (${value} IS NOT NULL AND NOT (${test}))`;
  if (type !== 'DOUBLE') return [misfitting(`${asTime(value, type, formats)} IS NOT NULL`), '0'];
  return [
    misfitting(`regexp_full_match(${value}, '\\s*[+-]?[0-9]+\\s*')`),
    misfitting(`TRY_CAST(${value} AS HUGEINT) IS NOT NULL`),
  ];
}

/** A text as the engine's reader takes it for a time, or null. */
function asTime(value: string, type: string, formats: SniffedFormats): string {
  const asIs = `TRY_CAST(${value} AS ${type})`;
  // Without a time and a zone in it, a text is no time in a zone, though the engine would give it one.
  if (/TZ|TIME ZONE/.test(type))
    return `CASE WHEN regexp_matches(${value}, '${ZONED}') THEN ${asIs} END`;
  const format = type === 'DATE' ? formats.dateFormat : formats.timestampFormat;
  if (format === null) return asIs;
  return `try_strptime(${value}, '${format.replaceAll("'", "''")}')`;
}
