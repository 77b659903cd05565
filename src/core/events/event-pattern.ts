import type { DomainEvent } from '../contracts/event-bus.js';
import type { EventType } from './catalog.js';

/** A segment of a type, or of a pattern's beginning. */
const SEGMENT = /^[a-z0-9]+([_-][a-z0-9]+)*$/;

/** A type that an event can have. */
export const EVENT_TYPE = /^[a-z0-9]+([_-][a-z0-9]+)*(\.[a-z0-9]+([_-][a-z0-9]+)*)*$/;

/** A type, or one with wildcards: `*` stands for one segment, `**` at the end for any number. */
export type EventPattern = EventType | '**' | `${string}.*` | `${string}.**` | `*.${string}`;

/** The events that a pattern can match, as far as the compiler can tell. */
export type MatchedEvent<Pattern extends string> = EventOf<MatchedType<Pattern>>;

type MatchedType<Pattern extends string> = Pattern extends EventType
  ? Pattern
  : Pattern extends `${infer Beginning}.**`
    ? Beginning extends `${string}*${string}`
      ? EventType
      : Extract<EventType, Beginning | `${Beginning}.${string}`>
    : Pattern extends `${infer Beginning}.*`
      ? Beginning extends `${string}*${string}`
        ? EventType
        : Exclude<Extract<EventType, `${Beginning}.${string}`>, `${Beginning}.${string}.${string}`>
      : EventType;

type EventOf<Type> = Type extends EventType ? DomainEvent<Type> : never;

/** The pattern can match no type. */
export class InvalidEventPattern extends Error {
  constructor(pattern: string) {
    super(
      `${JSON.stringify(pattern)} is no event pattern: segments of lower-case letters and digits, ` +
        'divided by dots; * stands for one of them, ** at the end for any number.',
    );
    this.name = 'InvalidEventPattern';
  }
}

/** @throws InvalidEventPattern */
export function checkEventPattern(pattern: string): void {
  const segments = pattern.split('.');
  const last = segments.pop() ?? '';
  const fits =
    segments.every((segment) => segment === '*' || SEGMENT.test(segment)) &&
    (last === '*' || last === '**' || SEGMENT.test(last));
  if (!fits) throw new InvalidEventPattern(pattern);
}

/** Whether an event of a type is one that the pattern asks for. */
export function matchesEventPattern(pattern: string, type: string): boolean {
  const wanted = pattern.split('.');
  const given = type.split('.');
  const open = wanted.at(-1) === '**';
  if (open) wanted.pop();
  if (open ? given.length < wanted.length : given.length !== wanted.length) return false;
  return wanted.every((segment, at) => segment === '*' || segment === given[at]);
}
