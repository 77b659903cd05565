import { z } from 'zod';
import { EVENT_SCHEMAS } from '../../core/events/catalog.schemas.js';
import type { JsonValue } from '../../core/json.js';

/** The shapes of the catalogue, each made when it is first asked for. */
const shapes = new Map<string, z.ZodType>();

/** One place in an event's data that is not as the catalogue says. */
export interface Misfit {
  /** Within the data, such as `data.datasetId`. */
  readonly at: string;
  readonly message: string;
}

/** What in the data is not as the catalogue has it; nothing, where it does not know the type. */
export function misfitsOf(type: string, data: JsonValue): Misfit[] {
  const { error } = shapeOf(type)?.safeParse(data) ?? {};
  return (error?.issues ?? []).map(({ path, message }) => ({
    at: ['data', ...path].join('.'),
    message: `is not what ${type} has: ${message}`,
  }));
}

function shapeOf(type: string): z.ZodType | null {
  const known = shapes.get(type);
  if (known) return known;
  // A type named like something that every object has is none of the catalogue.
  const schema = Object.hasOwn(EVENT_SCHEMAS, type) ? EVENT_SCHEMAS[type] : undefined;
  if (!schema) return null;
  const shape = z.fromJSONSchema(schema);
  shapes.set(type, shape);
  return shape;
}
