import { DatabaseError } from 'pg';
import { QueryFailedError, QueryRunnerAlreadyReleasedError } from 'typeorm';
import { InvalidInput, Unavailable } from '../../core/problems.js';
import { TransactionDoomed } from './unit-of-work.js';

const RETRY_AFTER_SECONDS = { away: 5, busy: 1 };

/** SQLSTATEs of a server that is away or going; a class of two characters stands for all in it. */
const AWAY = [
  '08', // connection exception
  '57P01', // admin_shutdown
  '57P02', // crash_shutdown
  '57P03', // cannot_connect_now
  '57P05', // idle_session_timeout
  '25P03', // idle_in_transaction_session_timeout
  '25006', // read_only_sql_transaction: a standby that has not taken over yet
  '53100', // disk_full
];

/** SQLSTATEs of a server that is there, but could not do this now. */
const BUSY = [
  '53', // insufficient_resources, too_many_connections
  '40001', // serialization_failure
  '40P01', // deadlock_detected
  '55P03', // lock_not_available
  '57014', // query_canceled: the statement timeout
];

/** What pg and its pool say, without a code, of a connection they could not get or keep. */
const LOST_CONNECTION =
  /^(Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error|Cannot use a pool after calling end|Client was closed)/;

const SOCKET_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
]);

/**
 * What to answer when the database is away or overloaded: the same request may succeed later.
 * @returns null for every other error
 */
export function asUnavailable(error: unknown): Unavailable | null {
  for (const cause of causesOf(error)) {
    if (isAway(cause)) {
      return new Unavailable(
        'The database cannot be reached at the moment. Try again shortly.',
        RETRY_AFTER_SECONDS.away,
      );
    }
    if (hasState(cause, BUSY)) {
      return new Unavailable(
        'The database could not take this on at the moment. Try again shortly.',
        RETRY_AFTER_SECONDS.busy,
      );
    }
  }
  return null;
}

/** SQLSTATEs of a value that PostgreSQL cannot hold, whatever column it is meant for. */
const UNSTORABLE = [
  '22021', // character_not_in_repertoire: NUL in text
  '22P05', // untranslatable_character: \u0000 in jsonb
  '54001', // statement_too_complex: jsonb nested deeper than the server's stack
];

/**
 * What to answer when the input holds something that no column can: NUL in a text, half of a
 * surrogate pair or nesting without end in a JSON value. Input is checked before it comes here;
 * this is the net below.
 * @returns null for every other error
 */
export function asInvalidInput(error: unknown): InvalidInput | null {
  for (const cause of causesOf(error)) {
    if (hasState(cause, UNSTORABLE) || isBrokenJson(cause)) {
      return new InvalidInput(
        'A value holds what cannot be stored: a NUL character, half of a surrogate pair, or ' +
          'nesting that is too deep.',
      );
    }
  }
  return null;
}

function isAway(error: unknown): boolean {
  if (error instanceof QueryRunnerAlreadyReleasedError || hasState(error, AWAY)) return true;
  const { message, code, syscall } = (error ?? {}) as Partial<NodeJS.ErrnoException>;
  if (message !== undefined && LOST_CONNECTION.test(message)) return true;
  // Without the system call it is no socket of a client of ours, but perhaps the request's own.
  return syscall !== undefined && code !== undefined && SOCKET_CODES.has(code);
}

function isBrokenJson(error: unknown): boolean {
  return hasState(error, ['22P02']) && /type json/.test((error as Error).message);
}

function hasState(error: unknown, states: readonly string[]): boolean {
  if (!(error instanceof DatabaseError)) return false;
  return states.some((state) => error.code === state || error.code?.slice(0, 2) === state);
}

/** The error and what it wraps, the outermost first. */
function* causesOf(error: unknown): Generator<unknown> {
  yield error;
  if (error instanceof QueryFailedError) yield* causesOf(error.driverError);
  if (error instanceof TransactionDoomed) yield* causesOf(error.cause);
  // Node tried each of a host's addresses.
  const { errors } = (error ?? {}) as Partial<AggregateError>;
  if (Array.isArray(errors)) yield* errors;
}
