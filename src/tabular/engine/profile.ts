import type { JsonValue } from '../../core/json.js';
import { describeColumn, logicalType, partsOf, type TableColumn } from './columns.js';
import { interpolatedHistogram, type HistogramBin } from './histogram.js';
import { jsonOf } from './projection.js';
import { openTable } from './readers/registry.js';
import type { EngineColumn, Session } from './session.js';
import type { TableFormat, TableSource } from './source.js';
import { identifier, literal } from './sql-text.js';

/** One column of a profile. Null stands for what its type does not have, or no row has. */
export interface ColumnProfile {
  readonly column: TableColumn;
  readonly count: number;
  readonly nulls: number;
  /** Of floating point: values that are no number, and infinite ones; the rest leaves them out. */
  readonly notFinite: number | null;
  /** Approximate: HyperLogLog, a few per cent off. */
  readonly distinct: number | null;
  readonly minimum: JsonValue;
  readonly maximum: JsonValue;
  readonly mean: number | null;
  readonly deviation: number | null;
  /** Approximate: t-digest. */
  readonly quantiles: { readonly p25: number; readonly p50: number; readonly p75: number } | null;
  /** The most frequent first; which they are is approximate, their counts are not. */
  readonly frequent: readonly { readonly value: JsonValue; readonly count: number | null }[];
  readonly histogram: {
    readonly approximate: boolean;
    readonly bins: readonly HistogramBin[];
  } | null;
}

export interface TableProfile {
  readonly format: TableFormat;
  readonly rowCount: number;
  readonly columns: readonly ColumnProfile[];
}

/** So many columns are aggregated in one pass: memory goes with it. */
const COLUMNS_PER_PASS = 200;
const FREQUENT = 10;
const BINS = 20;
/** Where the cumulative distribution is looked at, for a histogram without a second pass. */
const STEPS = Array.from({ length: 2 * BINS + 1 }, (_, step) => step / (2 * BINS));
/** Up to this size, and where one pass does for all columns, a table is read again for exact counts. */
const SECOND_PASS_BYTES = 64 * 1024 * 1024;

/** Profiles all rows of a table; null for a file that is none. */
export async function profileTable(
  session: Session,
  source: TableSource,
  sizeBytes: number,
): Promise<TableProfile | null> {
  const relation = await openTable(session, source);
  if (!relation) return null;
  const columns = await session.columns(relation.from);
  const profiles: ColumnProfile[] = [];
  let rowCount = 0;
  for (let at = 0; at === 0 || at < columns.length; at += COLUMNS_PER_PASS) {
    const some = columns.slice(at, at + COLUMNS_PER_PASS);
    const first = await firstPass(session, relation.from, some);
    rowCount = first.rowCount;
    profiles.push(
      ...(sizeBytes <= SECOND_PASS_BYTES && columns.length <= COLUMNS_PER_PASS
        ? await secondPass(session, relation.from, some, first.profiles)
        : first.profiles),
    );
  }
  return { format: relation.format, rowCount, columns: profiles };
}

const isFloat = (type: string) => type.startsWith('float');
const isNumber = (type: string) => /^(u?int\d+|decimal)$/.test(type) || isFloat(type);

/** Each aggregate of a column as JSON text, so that none of it is rounded on its way. */
function aggregates(column: EngineColumn): string[] {
  const name = identifier(column.name);
  const type = logicalType(column.type);
  const finite = isFloat(type) ? ` FILTER (isfinite(${name}))` : '';
  const number = `${name}::DOUBLE`;
  const simple = partsOf(column.type) === null && type !== 'json';
  const ordered = simple && type !== 'binary';
  const json = (sql: string) => `to_json(${sql})::VARCHAR`;
  return [
    json(`count(${name})`),
    isFloat(type) ? json(`count(${name}) FILTER (NOT isfinite(${name}))`) : 'NULL',
    simple ? json(`approx_count_distinct(${name})`) : 'NULL',
    ordered ? json(jsonOf(`min(${name})${finite}`, column.type)) : 'NULL',
    ordered ? json(jsonOf(`max(${name})${finite}`, column.type)) : 'NULL',
    isNumber(type) ? json(`avg(${number})${finite}`) : 'NULL',
    // Of finite numbers that are far apart the deviation may still be too large for a double.
    isNumber(type) ? json(`stddev_samp(${bounded(number, type)})${finite}`) : 'NULL',
    isNumber(type) ? json(`approx_quantile(${number}, [${STEPS.join(', ')}])${finite}`) : 'NULL',
    ordered && !isFloat(type) ? json(`approx_top_k(${name}::VARCHAR, ${FREQUENT})`) : 'NULL',
  ];
}

/** Squares of numbers beyond this overflow. */
function bounded(number: string, type: string): string {
  return isFloat(type) ? `CASE WHEN abs(${number}) < 1e150 THEN ${number} END` : number;
}

async function firstPass(session: Session, from: string, columns: readonly EngineColumn[]) {
  const expressions = columns.flatMap(aggregates);
  const [total, ...texts] = await session.row<(string | null)[]>(
    `SELECT ${['count(*)', ...expressions].join(', ')} FROM ${from}`,
  );
  const rowCount = Number(total);
  const per = expressions.length / Math.max(columns.length, 1);
  const profiles = columns.map((column, at) => {
    const found = texts
      .slice(at * per, (at + 1) * per)
      .map((text): unknown => (text === null ? null : JSON.parse(text)));
    return profileOf(column, rowCount, found);
  });
  return { rowCount, profiles };
}

function profileOf(
  column: EngineColumn,
  rowCount: number,
  found: readonly unknown[],
): ColumnProfile {
  const [count, notFinite, distinct, minimum, maximum, mean, deviation, steps, frequent] = found;
  const present = Number(count);
  const numbers = (steps ?? null) as number[] | null;
  const at = (share: number) => numbers?.[Math.round(share * (STEPS.length - 1))] ?? 0;
  return {
    column: describeColumn(column, present < rowCount),
    count: present,
    nulls: rowCount - present,
    notFinite: (notFinite ?? null) as number | null,
    distinct: distinct === null ? null : Math.min(Number(distinct), present),
    minimum: (minimum ?? null) as JsonValue,
    maximum: (maximum ?? null) as JsonValue,
    mean: finiteOrNull(mean),
    deviation: finiteOrNull(deviation),
    quantiles: numbers && { p25: at(0.25), p50: at(0.5), p75: at(0.75) },
    frequent: ((frequent ?? []) as JsonValue[]).map((value) => ({ value, count: null })),
    histogram:
      numbers &&
      interpolatedHistogram(
        Number(minimum),
        Number(maximum),
        numbers,
        present - Number(notFinite ?? 0),
        BINS,
      ),
  };
}

function finiteOrNull(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}

/** Counts what the first pass found: the frequent values, and what falls into each bin. */
async function secondPass(
  session: Session,
  from: string,
  columns: readonly EngineColumn[],
  profiles: readonly ColumnProfile[],
): Promise<ColumnProfile[]> {
  const expressions = profiles.flatMap((profile, at) => {
    const column = columns[at] as EngineColumn;
    return [frequentCounts(column, profile), binCounts(column, profile)];
  });
  if (expressions.every((expression) => expression === 'NULL')) return [...profiles];
  const found = await session.row<(string | null)[]>(
    `SELECT ${expressions.join(', ')} FROM ${from}`,
  );
  const counted = found.map((text) => JSON.parse(text ?? '[]') as unknown);
  return profiles.map((profile, at) => ({
    ...profile,
    frequent: withCounts(profile.frequent, counted[2 * at] as Counted[]),
    histogram: profile.histogram && {
      approximate: false,
      bins: withBinCounts(profile.histogram.bins, counted[2 * at + 1] as number[]),
    },
  }));
}

interface Counted {
  readonly key: string;
  readonly value: number;
}

/** How often each of the frequent values is there; the engine adds a count of all others at the end. */
function frequentCounts({ name }: EngineColumn, { frequent }: ColumnProfile): string {
  if (frequent.length === 0) return 'NULL';
  const values = frequent.map(({ value }) => literal(String(value as string))).join(', ');
  return `to_json(map_entries(histogram_exact(${identifier(name)}::VARCHAR, [${values}])))::VARCHAR`;
}

function withCounts(frequent: ColumnProfile['frequent'], counted: readonly Counted[]) {
  const counts = new Map(
    counted.slice(0, frequent.length).map(({ key, value }) => [key, value] as const),
  );
  return frequent
    .map(({ value }) => ({ value, count: counts.get(String(value as string)) ?? 0 }))
    .toSorted((a, b) => b.count - a.count);
}

/**
 * How many values lie in each bin. Bins of the engine hold their upper end where ours hold their lower:
 * of the negated values it is the same one.
 */
function binCounts({ name, type }: EngineColumn, { histogram }: ColumnProfile): string {
  if (!histogram) return 'NULL';
  const edges = lowerEdges(histogram.bins).map((edge) => -edge);
  const filter = isFloat(logicalType(type)) ? ` FILTER (isfinite(${identifier(name)}))` : '';
  return `to_json(map_values(histogram(-(${identifier(name)}::DOUBLE), [${edges.join(', ')}]::DOUBLE[])${filter}))::VARCHAR`;
}

/** Where bins begin, from above: those of numbers that are close to each other may begin at the same. */
const lowerEdges = (bins: readonly HistogramBin[]): number[] =>
  [...new Set(bins.map(({ from }) => from))].toReversed();

function withBinCounts(bins: readonly HistogramBin[], counts: readonly number[]): HistogramBin[] {
  const left = new Map(lowerEdges(bins).map((edge, at) => [edge, counts[at] ?? 0]));
  return bins
    .toReversed()
    .map((bin) => {
      const count = left.get(bin.from) ?? 0;
      left.delete(bin.from);
      return { ...bin, count };
    })
    .toReversed();
}
