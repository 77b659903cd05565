import {
  Catch,
  HttpException,
  Inject,
  Injectable,
  Logger,
  Optional,
  type ArgumentsHost,
  type ExceptionFilter,
} from '@nestjs/common';
import type { Request, Response } from 'express';
import { AUDIT_TRAIL, type AuditTrail } from '../../core/contracts/audit-trail.js';
import type { JsonValue } from '../../core/json.js';
import { InvalidInput, Problem, type ProblemKind } from '../../core/problems.js';
import { asInvalidInput, asUnavailable } from '../database/database-errors.js';
import { RequestContext } from '../logging/request-context.js';

const INTERNAL: ProblemKind = { code: 'internal', status: 500, title: 'Internal server error' };

/** A path or method that no operation has. */
class NoSuchOperation extends Problem {
  static override readonly kind = {
    code: 'no-such-operation',
    status: 404,
    title: 'No such operation',
  };
}

/** A request that the HTTP layer itself cannot read, such as a malformed percent-encoding. */
class MalformedRequest extends InvalidInput {}

/** Turns every error into `application/problem+json`: the one place where that happens. */
@Catch()
@Injectable()
export class ProblemFilter implements ExceptionFilter {
  private readonly logger = new Logger(ProblemFilter.name);

  constructor(
    @Optional() @Inject(AUDIT_TRAIL) private readonly audit: AuditTrail | undefined = undefined,
  ) {}

  catch(error: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    const req = http.getRequest<Request>();
    const res = http.getResponse<Response>();
    const problem = toProblem(error, req);
    if (problem?.kind.isRefusal) this.audit?.refused(problem);
    if (!problem && !receiverLeft(error, res)) {
      this.logger.error(error, 'An error that no problem describes');
    }
    if (res.headersSent) {
      // Part of an answer is out already: only a broken connection still tells that it is not whole.
      if (!res.writableEnded) res.destroy();
      return;
    }
    answer(req, res, problem);
  }
}

/** Whoever stops a download half-way has not made the server fail. */
function receiverLeft(error: unknown, res: Response): boolean {
  const { code } = (error ?? {}) as { code?: unknown };
  return res.headersSent && code === 'ERR_STREAM_PREMATURE_CLOSE';
}

function toProblem(error: unknown, req: Request): Problem | null {
  if (error instanceof Problem) return error;
  if (error instanceof HttpException && error.getStatus() === 404) {
    return new NoSuchOperation(
      `There is no ${req.method} ${req.originalUrl.split('?', 1)[0]}. See /api/docs for what there is.`,
    );
  }
  if (error instanceof HttpException && error.getStatus() < 500) {
    return new MalformedRequest(error.message);
  }
  if (error instanceof URIError) return new MalformedRequest('The URL is malformed.');
  return asUnavailable(error) ?? asInvalidInput(error);
}

function answer(req: Request, res: Response, problem: Problem | null): void {
  const kind = problem?.kind ?? INTERNAL;
  for (const [name, value] of Object.entries(problem?.headers ?? {})) res.setHeader(name, value);
  const body: Record<string, JsonValue> = {
    ...problem?.members,
    type: `urn:varve:problem:${kind.code}`,
    title: kind.title,
    status: kind.status,
    detail: problem?.message ?? 'Something went wrong here. The log has more under the request id.',
    requestId: RequestContext.requestId(),
  };
  const text = JSON.stringify(body);
  res.status(kind.status).type('application/problem+json');
  res.setHeader('Content-Length', Buffer.byteLength(text));
  if (req.complete || req.destroyed) {
    res.end(text);
    return;
  }
  // Closing while the sender still sends would reset the connection, and the answer be lost with it.
  res.setHeader('Connection', 'close');
  res.write(text);
  discardRest(req, () => res.end());
}

/** How much of a refused body is read for the sake of the answer, and for how long. */
const LINGER = { bytes: 64 * 1024 * 1024, ms: 10_000 };

/** Reads what is left of a request's body and drops it, then calls `done`, once. */
function discardRest(req: Request, done: () => void): void {
  let left = LINGER.bytes;
  const timer = setTimeout(finish, LINGER.ms);
  function finish(): void {
    clearTimeout(timer);
    req.off('data', count).off('end', finish).off('close', finish);
    done();
  }
  function count(chunk: Buffer): void {
    left -= chunk.length;
    if (left < 0) finish();
  }
  req.on('data', count).once('end', finish).once('close', finish).resume();
}
