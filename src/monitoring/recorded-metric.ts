import { z } from 'zod';

const MAX_LABELS = 8;
const MAX_LABEL = 128;

const recorded = z.object({
  name: z
    .string()
    .regex(/^[A-Za-z_][A-Za-z0-9_]{0,99}$/)
    // What the process itself says must not be said by anybody else.
    .refine((name) => !/^(varve|process|nodejs)_/.test(name)),
  value: z.number(),
  kind: z.enum(['gauge', 'counter']).default('gauge'),
  labels: z
    .record(z.string().regex(/^(?!__)[A-Za-z_][A-Za-z0-9_]{0,63}$/), z.string().max(MAX_LABEL))
    .refine((labels) => Object.keys(labels).length <= MAX_LABELS)
    .default({}),
});

/** A measurement as a series of Prometheus takes it (https://prometheus.io/docs/concepts/data_model/). */
export type RecordedMetric = z.output<typeof recorded>;

/** Which part of a measurement no series can take. */
export type Flaw = 'name' | 'value' | 'kind' | 'labels';

/** Reads a measurement from an event's data; or says what is wrong with it. */
export function readMetric(data: unknown): RecordedMetric | Flaw {
  const { data: metric, error } = recorded.safeParse(data);
  if (error) return (error.issues[0]?.path[0] as Flaw | undefined) ?? 'name';
  // A counter that goes down would look like one that began anew.
  return metric.kind === 'counter' && metric.value < 0 ? 'value' : metric;
}
