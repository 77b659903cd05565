import { AsyncLocalStorage } from 'node:async_hooks';
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';

interface Context {
  readonly requestId: string;
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

  /** Runs `work` as part of a request: what it logs and publishes carries the id. */
  run<T>(requestId: string, work: () => T): T {
    return storage.run({ requestId }, work);
  },

  /**
   * Middleware that gives each request its id, taken from `X-Request-Id` where that is harmless,
   * and answers with it.
   */
  middleware(this: void, req: IncomingMessage, res: ServerResponse, next: () => void): void {
    const offered = req.headers['x-request-id'];
    const requestId = typeof offered === 'string' && SAFE_ID.test(offered) ? offered : randomUUID();
    res.setHeader('X-Request-Id', requestId);
    storage.run({ requestId }, next);
  },
};
