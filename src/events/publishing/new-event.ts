import { z } from 'zod';
import { EVENT_TYPE } from '../../core/events/event-pattern.js';
import type { JsonValue } from '../../core/json.js';
import { InvalidInput } from '../../core/problems.js';
import { misfitsOf } from './event-shapes.js';

export const MAX_BATCH = 500;
export const MAX_TYPE = 200;
export const MAX_TEXT = 300;
export const MAX_CORRELATION_ID = 128;
const MAX_DATA_BYTES = 256 * 1024;
/** Clocks differ; an event of next year is a mistake, and would be kept until then. */
const MAX_AHEAD_MS = 24 * 60 * 60 * 1000;
/** Before it PostgreSQL and RFC 3339 write years differently. */
const EARLIEST = '0001-01-01T00:00:00Z';

const text = z.string().min(1).max(MAX_TEXT);

const event = z.strictObject({
  specversion: z.literal('1.0').optional(),
  id: z
    .string()
    .regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, 'takes a UUID in lower case')
    .optional(),
  source: text.optional(),
  type: z
    .string()
    .max(MAX_TYPE)
    .regex(EVENT_TYPE, 'takes segments of lower-case letters, digits, - and _, divided by dots'),
  subject: text.optional(),
  time: z.iso
    .datetime({ offset: true, error: 'takes a time as RFC 3339 has it' })
    .refine(isPlausible, 'must not be more than a day ahead')
    .optional(),
  datacontenttype: z.literal('application/json').optional(),
  correlationid: z.string().min(1).max(MAX_CORRELATION_ID).nullish(),
  data: z
    .custom<JsonValue>((data) => data !== undefined, 'must be there')
    .refine(fits, `holds ${MAX_DATA_BYTES} bytes at the most`),
});

const batch = z.strictObject({ events: z.array(event).min(1).max(MAX_BATCH) });

/** An event as somebody publishes it. */
export type NewForeignEvent = z.output<typeof event>;

/** Reads one event. @throws InvalidInput naming each place that is wrong */
export function parseEvent(body: unknown): NewForeignEvent {
  const parsed = read(event, body);
  requireShapes([parsed], () => '');
  return parsed;
}

/** Reads a batch of events. @throws InvalidInput naming each place that is wrong */
export function parseBatch(body: unknown): NewForeignEvent[] {
  const { events } = read(batch, body);
  requireShapes(events, (index) => `events.${index}.`);
  return events;
}

function read<T>(schema: z.ZodType<T>, body: unknown): T {
  const { data, error } = schema.safeParse(body);
  if (error) {
    throw refusal(error.issues.map(({ path, message }) => ({ at: path.join('.'), message })));
  }
  return data;
}

function requireShapes(
  events: readonly NewForeignEvent[],
  prefixOf: (index: number) => string,
): void {
  const errors = events.flatMap(({ type, data }, index) =>
    misfitsOf(type, data).map(({ at, message }) => ({ at: prefixOf(index) + at, message })),
  );
  if (errors.length > 0) throw refusal(errors);
}

function refusal(errors: { at: string; message: string }[]): InvalidInput {
  const [first] = errors;
  const at = first?.at || 'body';
  return new InvalidInput(`${at} ${first?.message ?? 'is no event'}.`, errors.slice(0, 100));
}

function isPlausible(time: string): boolean {
  const ms = Date.parse(time);
  return ms >= Date.parse(EARLIEST) && ms <= Date.now() + MAX_AHEAD_MS;
}

function fits(data: JsonValue): boolean {
  return Buffer.byteLength(JSON.stringify(data) ?? '') <= MAX_DATA_BYTES;
}
