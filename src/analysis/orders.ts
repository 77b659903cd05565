import { z } from 'zod';
import type { ReportKind, SampleMethod, TableFileFormat } from '../core/contracts/tables.js';
import { InvalidInput } from '../core/problems.js';

/** Where a job's file is committed to once it is made. */
export interface CommitOrder {
  readonly datasetId?: number | undefined;
  readonly branch: string;
  readonly path: string;
  readonly message?: string | undefined;
}

/** A sample that was asked for. */
export interface SampleOrder {
  readonly ref: string;
  readonly paths: readonly string[];
  readonly sheet?: string | undefined;
  readonly method: SampleMethod;
  readonly format: TableFileFormat;
  readonly commit?: CommitOrder | undefined;
}

/** An analysis that was asked for. */
export type AnalysisOrder = {
  readonly ref: string;
  readonly commit?: CommitOrder | undefined;
} & (
  | { readonly kind: ReportKind; readonly path: string; readonly sheet?: string | undefined }
  | {
      readonly kind: 'diff';
      /** What it is compared with; the table itself is `ref` and `path`. */
      readonly base: string;
      readonly path: string;
      readonly sheet?: string | undefined;
      readonly key: readonly string[];
      readonly format: TableFileFormat;
    }
  | { readonly kind: 'select'; readonly sql: string; readonly format: TableFileFormat }
);

const MAX_SEED = 2 ** 31 - 1;
const MAX_ROWS = 100_000_000;

const ref = z.string().min(1).max(300);
const path = z.string().min(1).max(1024);
const sheet = z.string().min(1).max(255).optional();
const column = z.string().min(1).max(1024);
const rows = z.int().min(1).max(MAX_ROWS);
/** Chosen once, where nobody chose it, and told in the result: so it can be made again. */
const seed = z
  .int()
  .min(0)
  .max(MAX_SEED)
  .default(() => Math.floor(Math.random() * MAX_SEED));
const format = z.enum(['parquet', 'csv']).default('parquet');
const time = z
  .string()
  .regex(
    /^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2})?)?$/,
    'takes an ISO 8601 date or time',
  );

const commit = z
  .strictObject({
    datasetId: z.int().min(1).max(MAX_SEED).optional(),
    branch: z.string().min(1).max(255),
    path,
    message: z.string().min(1).max(10_000).optional(),
  })
  .optional();

const method = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('random'), rows, seed }),
  z.strictObject({ kind: z.literal('bernoulli'), share: z.number().min(0).max(1), seed }),
  z
    .strictObject({
      kind: z.literal('systematic'),
      every: z.int().min(1).max(MAX_ROWS),
      start: z.int().min(0).max(MAX_ROWS).default(0),
    })
    .refine(({ every, start }) => start < every, 'start is below every'),
  z.strictObject({
    kind: z.literal('stratified'),
    rows,
    by: z.array(column).min(1).max(10),
    allocation: z.enum(['proportional', 'equal']).default('proportional'),
    seed,
  }),
  z.strictObject({ kind: z.literal('first'), rows }),
  z.strictObject({
    kind: z.literal('top'),
    rows,
    column,
    descending: z.boolean().default(true),
  }),
  z.strictObject({
    kind: z.literal('time-range'),
    column,
    from: time.nullable().default(null),
    to: time.nullable().default(null),
  }),
]);

const sampleOrder = z.strictObject({
  ref,
  paths: z.array(path).min(1).max(50),
  sheet,
  method,
  format,
  commit,
});

const analysisOrder = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.enum(['profile', 'correlation', 'quality']), ref, path, sheet, commit }),
  z.strictObject({
    kind: z.literal('diff'),
    ref,
    base: ref,
    path,
    sheet,
    key: z.array(column).min(1).max(10),
    format,
    commit,
  }),
  z.strictObject({
    kind: z.literal('select'),
    ref,
    sql: z.string().min(1).max(100_000),
    format,
    commit,
  }),
]);

/** @throws InvalidInput naming each place that breaks a rule */
export function parseSampleOrder(body: unknown): SampleOrder {
  return parse(sampleOrder, body);
}

/** @throws InvalidInput naming each place that breaks a rule */
export function parseAnalysisOrder(body: unknown): AnalysisOrder {
  return parse(analysisOrder, body);
}

function parse<Output>(schema: z.ZodType<Output>, body: unknown): Output {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const errors = parsed.error.issues
    .slice(0, 100)
    .map((issue) => ({ at: issue.path.join('.') || 'body', message: issue.message }));
  throw new InvalidInput(`${errors[0]?.at}: ${errors[0]?.message}.`, errors);
}
