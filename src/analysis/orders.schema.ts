import type { ApiBody } from '@nestjs/swagger';

type BodyOptions = Extract<Parameters<typeof ApiBody>[0], { schema: unknown }>;
type SchemaObject = Exclude<BodyOptions['schema'], { $ref: string }>;

const ref: SchemaObject = { type: 'string', minLength: 1, maxLength: 300, example: 'main' };
const path: SchemaObject = { type: 'string', minLength: 1, maxLength: 1024, example: 'stocks.csv' };
const sheet: SchemaObject = { type: 'string', minLength: 1, maxLength: 255 };
const column: SchemaObject = { type: 'string', minLength: 1, example: 'symbol' };
const rows: SchemaObject = { type: 'integer', minimum: 1, example: 100 };
const seed: SchemaObject = {
  type: 'integer',
  minimum: 0,
  description: 'Chosen by chance unless told, and told in the result.',
  example: 7,
};
const format: SchemaObject = { type: 'string', enum: ['parquet', 'csv'], default: 'parquet' };
const time: SchemaObject = { type: 'string', nullable: true, example: '2026-01-01T00:00:00Z' };

const commit: SchemaObject = {
  type: 'object',
  required: ['branch', 'path'],
  description: 'Where the file is committed to once it is made.',
  properties: {
    datasetId: { type: 'integer', minimum: 1, description: 'This dataset unless told.' },
    branch: { type: 'string', example: 'main' },
    path: { type: 'string', example: 'samples/stocks.parquet' },
    message: { type: 'string', example: 'Add a sample of the stocks' },
  },
};

const kind = (...names: string[]): SchemaObject => ({ type: 'string', enum: names });

const shape = (required: string[], properties: Record<string, SchemaObject>): SchemaObject => ({
  type: 'object',
  required,
  properties,
});

/** The body that asks for a sample. */
export const SAMPLE_SCHEMA: SchemaObject = shape(['ref', 'paths', 'method'], {
  ref,
  paths: {
    type: 'array',
    items: path,
    minItems: 1,
    maxItems: 50,
    description: 'Several tables of the same columns are taken for one.',
  },
  sheet,
  method: {
    oneOf: [
      shape(['kind', 'rows'], { kind: kind('random'), rows, seed }),
      shape(['kind', 'share'], {
        kind: kind('bernoulli'),
        share: { type: 'number', minimum: 0, maximum: 1, example: 0.1 },
        seed,
      }),
      shape(['kind', 'every'], {
        kind: kind('systematic'),
        every: { type: 'integer', minimum: 1, example: 10 },
        start: { type: 'integer', minimum: 0, default: 0 },
      }),
      shape(['kind', 'rows', 'by'], {
        kind: kind('stratified'),
        rows,
        by: { type: 'array', items: column, minItems: 1, maxItems: 10 },
        allocation: { type: 'string', enum: ['proportional', 'equal'], default: 'proportional' },
        seed,
      }),
      shape(['kind', 'rows'], { kind: kind('first'), rows }),
      shape(['kind', 'rows', 'column'], {
        kind: kind('top'),
        rows,
        column,
        descending: { type: 'boolean', default: true },
      }),
      shape(['kind', 'column'], { kind: kind('time-range'), column, from: time, to: time }),
    ],
    example: { kind: 'random', rows: 100, seed: 7 },
  },
  format,
  commit,
});

/** The body that asks for an analysis. */
export const ANALYSIS_SCHEMA: SchemaObject = {
  oneOf: [
    shape(['kind', 'ref', 'path'], {
      kind: kind('profile', 'correlation', 'quality'),
      ref,
      path,
      sheet,
      commit,
    }),
    shape(['kind', 'ref', 'base', 'path', 'key'], {
      kind: kind('diff'),
      ref,
      base: { ...ref, description: 'The version that it is compared with.', example: '1' },
      path,
      sheet,
      key: {
        type: 'array',
        items: column,
        minItems: 1,
        maxItems: 10,
        description: 'The columns that tell rows apart.',
      },
      format,
      commit,
    }),
    shape(['kind', 'ref', 'sql'], {
      kind: kind('select'),
      ref,
      sql: { type: 'string', example: 'SELECT count(*) AS n FROM "stocks.csv"' },
      format,
      commit,
    }),
  ],
};
