import type { JobId, UserId } from '../ids.js';
import type { JsonObject } from '../json.js';
import { token } from '../token.js';
import type { Tx } from './unit-of-work.js';

export interface JobOptions {
  /** Not before this time; the database's clock judges. */
  readonly delayMs?: number;
  /** A later enqueue with the same key replaces a job that has not started. */
  readonly key?: string;
  /** How often it is tried before it has failed; 3 unless told. */
  readonly maxAttempts?: number;
  /** Who asked for it and may see and cancel it; nobody for the server's own. */
  readonly createdBy?: UserId | null;
  /** One of very many that nobody asks after: once completed it is no longer listed. */
  readonly isTransient?: boolean;
}

/** What a running job may do besides its work. */
export interface JobContext {
  readonly jobId: JobId;
  /** Aborted when the job is cancelled or the server stops. */
  readonly signal: AbortSignal;
  /** Tells how far it is: 0 to 100, and in words. @throws the signal's reason once it is aborted */
  progress(percent: number, message: string): Promise<void>;
}

export type JobHandler = (payload: JsonObject, context: JobContext) => Promise<JsonObject | void>;

/** A job that has failed and is not tried again. */
export interface FailedJob {
  readonly jobId: JobId;
  readonly payload: JsonObject;
  readonly reason: string;
}

/**
 * Called once when a job has failed for good, however often it was tried and whatever it died of; what it
 * writes in its transaction is there exactly once. Not for jobs that were cancelled.
 */
export type FailureListener = (tx: Tx, job: FailedJob) => Promise<unknown>;

/** Thrown by a handler where trying again would end the same way. */
export class FailedForGood extends Error {
  override readonly name = 'FailedForGood';

  constructor(cause: Error) {
    super(cause.message, { cause });
  }
}

/** Work that outlives a request: kept in the database, run by any replica, retried with backoff. */
export interface JobQueue {
  /** Enqueues in the caller's transaction. */
  enqueue(tx: Tx, kind: string, payload: JsonObject, options?: JobOptions): Promise<JobId>;

  /** Says how a kind of job is done. Called while modules initialise. */
  define(kind: string, handler: JobHandler, onFailed?: FailureListener): void;

  /** Runs a kind of job again and again, once per period for all replicas together. */
  every(kind: string, cron: string): void;
}

export const JOB_QUEUE = token<JobQueue>('JOB_QUEUE');
