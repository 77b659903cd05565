import { checkEventPattern, InvalidEventPattern } from '../../core/events/event-pattern.js';
import { InvalidInput } from '../../core/problems.js';
import { parseCursor, type LogPosition } from './log-position.js';

/** Patterns as somebody sent them; none stands for all events. @throws InvalidInput */
export function patternsOf(types: readonly string[] | undefined): readonly string[] {
  const patterns = types ?? [];
  for (const pattern of patterns) {
    try {
      checkEventPattern(pattern);
    } catch (error) {
      if (!(error instanceof InvalidEventPattern)) throw error;
      throw new InvalidInput(error.message, [{ at: 'type', message: 'is no event pattern' }]);
    }
  }
  return patterns.includes('**') ? [] : patterns;
}

/** A cursor as somebody sent it. @throws InvalidInput */
export function positionOf(cursor: string | undefined, at: string): LogPosition | null {
  if (cursor === undefined) return null;
  const position = parseCursor(cursor);
  if (position) return position;
  throw new InvalidInput(`${at} takes the cursor of an event.`, [
    { at, message: 'takes the cursor of an event' },
  ]);
}
