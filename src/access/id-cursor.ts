import { MAX_ID } from '../core/ids.js';

/** Whether a cursor holds an id, after which the next page starts. */
export function isIdCursor(value: unknown): value is number {
  return Number.isInteger(value) && Number(value) >= 1 && Number(value) <= MAX_ID;
}
