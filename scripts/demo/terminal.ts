import { stripVTControlCharacters, styleText } from 'node:util';

// styleText leaves colours out by itself where there is no terminal, or NO_COLOR is set.
export const bold = (text: string): string => styleText('bold', text);
export const dim = (text: string): string => styleText('dim', text);
export const green = (text: string): string => styleText('green', text);
export const yellow = (text: string): string => styleText('yellow', text);
export const red = (text: string): string => styleText('red', text);

const INDENT = '   ';

export function say(line = ''): void {
  console.log(line && INDENT + line);
}

let steps = 0;

/** Begins the next step. */
export function step(title: string): void {
  steps += 1;
  console.log(`\n${bold(`${steps}  ${title}`)}`);
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

/** Such as `12.3 MiB`. */
export function humanSize(bytes: number): string {
  const power = bytes < 1 ? 0 : Math.min(Math.floor(Math.log2(bytes) / 10), UNITS.length - 1);
  const value = bytes / 1024 ** power;
  return `${power === 0 ? value : value.toFixed(1)} ${UNITS[power]}`;
}

export const shortDigest = (sha256: string): string => `${sha256.slice(0, 12)}…`;

interface Column {
  readonly title: string;
  readonly align?: 'right';
}

const widthOf = (text: string): number => [...stripVTControlCharacters(text)].length;

/** Prints rows in aligned columns under their titles. */
export function table(columns: readonly Column[], rows: readonly (readonly string[])[]): void {
  const widths = columns.map(({ title }, index) =>
    Math.max(widthOf(title), ...rows.map((row) => widthOf(row[index] ?? ''))),
  );
  const line = (cells: readonly string[]): string =>
    columns
      .map(({ align }, index) => {
        const cell = cells[index] ?? '';
        const padding = ' '.repeat((widths[index] ?? 0) - widthOf(cell));
        return align === 'right' ? padding + cell : cell + padding;
      })
      .join('  ')
      .trimEnd();
  say(dim(line(columns.map(({ title }) => title))));
  for (const row of rows) say(line(row));
}
