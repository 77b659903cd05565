import { Injectable } from '@nestjs/common';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { PinoLogger } from 'nestjs-pino';
import { RequestContext } from './request-context.js';

/**
 * One line for every request, once its answer has left or its connection has closed. A middleware of
 * our own: pino-http makes a child logger for each request, whether or not it will log, and that
 * took longer than all else that is done for every request.
 */
@Injectable()
export class RequestLog {
  constructor(private readonly logger: PinoLogger) {}

  readonly middleware = (req: IncomingMessage, res: ServerResponse, next: () => void): void => {
    const started = performance.now();
    // Express rewrites `url` while it routes; and the event comes in no request's context.
    const { method, url = '' } = req;
    const requestId = RequestContext.requestId();
    res.once('close', () => {
      const { statusCode: status, writableFinished } = res;
      // Headers and queries may carry secrets and names; the line says what happened, no more.
      const line = {
        requestId,
        method,
        path: url.split('?', 1)[0],
        status,
        durationMs: Math.round(performance.now() - started),
      };
      if (status >= 500) this.logger.error(line, 'request failed');
      else this.logger.info(line, writableFinished ? 'request completed' : 'request aborted');
    });
    next();
  };
}
