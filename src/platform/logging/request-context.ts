import { AsyncLocalStorage } from 'node:async_hooks';
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Caller } from '../../core/contracts/audit-trail.js';

interface Context {
  readonly requestId: string;
  /** What is known by now of whoever sent it. */
  caller: Omit<Caller, 'requestId'> | null;
}

const storage = new AsyncLocalStorage<Context>();

/** Short and harmless in a log line and a header. */
const SAFE_ID = /^[A-Za-z0-9._:-]{1,128}$/;

/** What belongs to the request, or the handling of an event, that is running. */
export const RequestContext = {
  /** The running request's id; null outside of any. */
  requestId(): string | null {
    return storage.getStore()?.requestId ?? null;
  },

  /** Who makes the running request; null outside of any, and for the server's own work. */
  caller(): Caller | null {
    const context = storage.getStore();
    return context?.caller ? { ...context.caller, requestId: context.requestId } : null;
  },

  /** Says who makes the running request, as far as that is known by now. */
  identify(caller: Omit<Caller, 'requestId'>): void {
    const context = storage.getStore();
    if (context) context.caller = caller;
  },

  /** Runs `work` as part of a request: what it logs and publishes carries the id. */
  run<T>(requestId: string, work: () => T, caller: Context['caller'] = null): T {
    return storage.run({ requestId, caller }, work);
  },

  /**
   * Middleware that gives each request its id, taken from `X-Request-Id` where that is harmless,
   * and answers with it.
   */
  middleware(this: void, req: IncomingMessage, res: ServerResponse, next: () => void): void {
    const offered = req.headers['x-request-id'];
    const requestId = typeof offered === 'string' && SAFE_ID.test(offered) ? offered : randomUUID();
    res.setHeader('X-Request-Id', requestId);
    storage.run({ requestId, caller: null }, next);
  },
};
