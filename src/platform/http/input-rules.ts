import { InvalidInput } from '../../core/problems.js';

/** How deep JSON may nest: more than any real document, far less than a stack. */
export const MAX_DEPTH = 64;

/** The name through which an object's prototype is tampered with; no data needs it. */
const FORBIDDEN_NAME = '__proto__';

function refuse(at: string, message: string): never {
  throw new InvalidInput(`${at} ${message}.`, [{ at, message }]);
}

/** Refuses text that PostgreSQL cannot store or that is no Unicode. @throws InvalidInput */
export function checkText(text: string, at: string): void {
  if (text.includes('\0')) refuse(at, 'must not contain the NUL character');
  if (!text.isWellFormed()) refuse(at, 'must not contain half of a surrogate pair');
}

/**
 * Refuses what no operation takes, before any of it is looked at: NUL, broken Unicode, numbers that
 * are not finite, names that tamper with objects, and nesting that would exhaust a stack. It keeps
 * its own list of what is left to see, so that the depth it refuses cannot exhaust its own.
 * @throws InvalidInput naming the place
 */
export function checkInput(root: unknown, name: string): void {
  const left: { value: unknown; at: string; depth: number }[] = [
    { value: root, at: name, depth: 0 },
  ];
  for (let next = left.pop(); next; next = left.pop()) {
    const { value, at, depth } = next;
    if (typeof value === 'string') checkText(value, at);
    else if (typeof value === 'number' && !Number.isFinite(value)) refuse(at, 'is out of range');
    else if (typeof value === 'object' && value !== null) {
      if (depth >= MAX_DEPTH) refuse(name, `must not nest deeper than ${MAX_DEPTH} levels`);
      for (const [key, member] of Object.entries(value)) {
        checkText(key, at);
        if (key === FORBIDDEN_NAME) refuse(at, `must not have a member named ${key}`);
        left.push({ value: member, at: `${at}.${key}`, depth: depth + 1 });
      }
    }
  }
}
