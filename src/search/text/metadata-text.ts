import type { JsonValue } from '../../core/json.js';

/** How much of a dataset's metadata is searched, in UTF-16 units. */
export const LONGEST_METADATA = 10_000;

/** Metadata as text: `name: value` for each value, the names of all its ancestors before it. */
export function metadataText(metadata: JsonValue): string {
  const lines: string[] = [];
  let left = LONGEST_METADATA;
  const visit = (value: JsonValue, names: readonly string[]): void => {
    if (left <= 0) return;
    if (Array.isArray(value)) {
      for (const each of value) visit(each, names);
    } else if (typeof value === 'object' && value !== null) {
      for (const [name, each] of Object.entries(value)) visit(each, [...names, name]);
    } else if (value !== null) {
      const line = `${names.join(' ')}: ${String(value)}`.slice(0, left).toWellFormed();
      left -= line.length + 1;
      lines.push(line);
    }
  };
  visit(metadata, []);
  return lines.join('\n');
}
