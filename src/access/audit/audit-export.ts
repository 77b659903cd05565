import type { AuditEntryView } from './audit.dto.js';

const COLUMNS = [
  'id',
  'at',
  'actorId',
  'actorName',
  'keyId',
  'requestId',
  'address',
  'operation',
  'outcome',
  'action',
  'resourceType',
  'resourceId',
  'datasetId',
  'before',
  'after',
  'seq',
  'hash',
  'previousHash',
] as const satisfies readonly (keyof AuditEntryView)[];

/** One JSON object a line. */
export async function* asNdjson(entries: AsyncIterable<AuditEntryView>): AsyncGenerator<string> {
  for await (const entry of entries) yield `${JSON.stringify(entry)}\n`;
}

/** RFC 4180, with a line of names. */
export async function* asCsv(entries: AsyncIterable<AuditEntryView>): AsyncGenerator<string> {
  yield `${COLUMNS.join(',')}\r\n`;
  for await (const entry of entries) {
    yield `${COLUMNS.map((column) => cell(entry[column])).join(',')}\r\n`;
  }
}

function cell(value: AuditEntryView[keyof AuditEntryView]): string {
  if (value === null) return '';
  const text = typeof value === 'object' ? JSON.stringify(value) : String(value);
  // A spreadsheet would run what looks like a formula, and callers choose names and request ids.
  const harmless = typeof value === 'string' && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}
