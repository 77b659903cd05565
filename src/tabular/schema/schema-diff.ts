import type { TableColumn } from '../engine/columns.js';

export const VERDICTS = ['full', 'backward', 'forward', 'breaking'] as const;

/**
 * Who can go on: `full`, everybody; `backward`, new readers with old data; `forward`, old readers with
 * new data; `breaking`, nobody.
 */
export type Verdict = (typeof VERDICTS)[number];

/** How a column's type changed. */
export type TypeChange = 'widening' | 'narrowing' | 'incompatible';

export interface RetypedColumn {
  readonly name: string;
  readonly from: string;
  readonly to: string;
  readonly change: TypeChange;
}

/** What became of a table's columns. */
export interface SchemaDiff {
  readonly added: readonly TableColumn[];
  readonly removed: readonly TableColumn[];
  /** A guess: a column that went and one that came, of one type and in one place. They count as both. */
  readonly renamed: readonly { readonly from: string; readonly to: string }[];
  readonly retyped: readonly RetypedColumn[];
  /** Observed in the data, and no part of the verdict: the next rows may change it back. */
  readonly nullability: readonly { readonly name: string; readonly nullable: boolean }[];
  readonly verdict: Verdict;
}

const NUMBERS = ['8', '16', '32', '64', '128'];

/** The types that hold every value of a type. */
function holders(type: string): string[] {
  const [, family = '', bits = ''] = /^(u?int|float)(\d+)$/.exec(type) ?? [];
  const wider = NUMBERS.slice(NUMBERS.indexOf(bits) + 1);
  if (family === 'int') {
    return [...wider.map((more) => `int${more}`), ...floatsFor(bits), 'decimal'];
  }
  if (family === 'uint') {
    const signed = wider.map((more) => `int${more}`);
    return [...wider.map((more) => `uint${more}`), ...signed, ...floatsFor(bits), 'decimal'];
  }
  if (type === 'float32') return ['float64'];
  if (type === 'date') return ['timestamp'];
  return [];
}

/** Floating point holds whole numbers up to its mantissa. */
function floatsFor(bits: string): string[] {
  if (bits === '8' || bits === '16') return ['float32', 'float64'];
  return bits === '32' ? ['float64'] : [];
}

/** How a column went from one type to another; null where it stayed. */
export function typeChange(from: TableColumn, to: TableColumn): TypeChange | null {
  if (textOf(from) === textOf(to)) return null;
  if (from.type === 'decimal' && to.type === 'decimal') return decimalChange(from, to);
  if (holders(from.type).includes(to.type)) return 'widening';
  if (holders(to.type).includes(from.type)) return 'narrowing';
  return from.fields && to.fields && from.type === to.type
    ? nestedChange(from.fields, to.fields)
    : 'incompatible';
}

function decimalChange(from: TableColumn, to: TableColumn): TypeChange {
  const whole = (column: TableColumn) => (column.precision ?? 0) - (column.scale ?? 0);
  const fits = (a: TableColumn, b: TableColumn) =>
    whole(b) >= whole(a) && (b.scale ?? 0) >= (a.scale ?? 0);
  if (fits(from, to)) return 'widening';
  return fits(to, from) ? 'narrowing' : 'incompatible';
}

/** Of nested fields: what their verdict means for the column that they are in. */
function nestedChange(from: readonly TableColumn[], to: readonly TableColumn[]): TypeChange {
  const { verdict } = diffSchemas(from, to);
  if (verdict === 'breaking') return 'incompatible';
  return verdict === 'forward' ? 'narrowing' : 'widening';
}

/** A type in full, such as `decimal(9,2)` or `list<item: int64>`. */
export function textOf({ type, precision, scale, fields }: TableColumn): string {
  if (precision !== undefined) return `${type}(${precision},${scale})`;
  if (!fields) return type;
  return `${type}<${fields.map((field) => `${field.name}: ${textOf(field)}`).join(', ')}>`;
}

/** Compares the columns of two tables, by their names. */
export function diffSchemas(
  base: readonly TableColumn[],
  head: readonly TableColumn[],
): SchemaDiff {
  const before = new Map(base.map((column) => [column.name, column]));
  const after = new Map(head.map((column) => [column.name, column]));
  const added = head.filter(({ name }) => !before.has(name));
  const removed = base.filter(({ name }) => !after.has(name));
  const retyped: RetypedColumn[] = [];
  const nullability: { name: string; nullable: boolean }[] = [];
  for (const from of base) {
    const to = after.get(from.name);
    if (!to) continue;
    const change = typeChange(from, to);
    if (change) retyped.push({ name: from.name, from: textOf(from), to: textOf(to), change });
    if (from.nullable !== null && to.nullable !== null && from.nullable !== to.nullable) {
      nullability.push({ name: from.name, nullable: to.nullable });
    }
  }
  return {
    added,
    removed,
    renamed: guessRenames(base, head, removed, added),
    retyped,
    nullability,
    verdict: verdictOf(removed.length > 0, retyped),
  };
}

function guessRenames(
  base: readonly TableColumn[],
  head: readonly TableColumn[],
  removed: readonly TableColumn[],
  added: readonly TableColumn[],
): { from: string; to: string }[] {
  return removed.flatMap((from) => {
    const place = base.indexOf(from);
    const to = added.find(
      (column) => head.indexOf(column) === place && textOf(column) === textOf(from),
    );
    return to ? [{ from: from.name, to: to.name }] : [];
  });
}

/** Columns that came are empty in old data; old readers need those that went. */
function verdictOf(someRemoved: boolean, retyped: readonly RetypedColumn[]): Verdict {
  const newReadsOld = retyped.every(({ change }) => change === 'widening');
  const oldReadsNew = !someRemoved && retyped.every(({ change }) => change === 'narrowing');
  if (newReadsOld && oldReadsNew) return 'full';
  if (newReadsOld) return 'backward';
  return oldReadsNew ? 'forward' : 'breaking';
}

/** Whether a change is one that a level allows. */
export function satisfies(verdict: Verdict, level: Exclude<Verdict, 'breaking'>): boolean {
  return verdict === 'full' || verdict === level;
}
