/**
 * A place in the log: after the event that it names. Events are ordered by the transaction that
 * published them and then by their number; both are 64 bits and therefore kept as text.
 */
export interface LogPosition {
  readonly transactionId: string;
  readonly position: string;
}

/** Before everything. */
export const LOG_START: LogPosition = { transactionId: '0', position: '0' };

const CURSOR = /^(0|[1-9]\d{0,19})-(0|[1-9]\d{0,18})$/;
const MAX_XID8 = 2n ** 64n - 1n;
const MAX_BIGINT = 2n ** 63n - 1n;

/** The position as text: what `after`, `Last-Event-ID` and an event's `cursor` are. */
export function toCursor({ transactionId, position }: LogPosition): string {
  return `${transactionId}-${position}`;
}

/** Reads a cursor; null for text that is none. */
export function parseCursor(text: string): LogPosition | null {
  const [, transactionId, position] = CURSOR.exec(text) ?? [];
  if (transactionId === undefined || position === undefined) return null;
  if (BigInt(transactionId) > MAX_XID8 || BigInt(position) > MAX_BIGINT) return null;
  return { transactionId, position };
}

/** Whether `a` comes after `b`. */
export function isAfter(a: LogPosition, b: LogPosition): boolean {
  const [x, y] = [BigInt(a.transactionId), BigInt(b.transactionId)];
  return x > y || (x === y && BigInt(a.position) > BigInt(b.position));
}
