import {
  Injectable,
  Inject,
  SetMetadata,
  type CanActivate,
  type ExecutionContext,
} from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import express, { type Request, type Response } from 'express';
import { createHash } from 'node:crypto';
import { InvalidInput } from '../../core/problems.js';
import { CONFIG, type Config } from '../config/config.js';
import { BodyTooLarge, UnsupportedMediaType } from './http-problems.js';
import { checkInput } from './input-rules.js';

declare module 'express-serve-static-core' {
  interface Request {
    /** What tells this body from another, whoever read it: digests of its bytes. */
    bodyFingerprint?: string;
  }
}

const STREAMED_BODY = Symbol('STREAMED_BODY');

/**
 * Leaves an operation's body to the operation: always, or only where it is multipart. Every other
 * operation takes JSON or nothing.
 */
export const StreamedBody = (when: 'always' | 'multipart') => SetMetadata(STREAMED_BODY, when);

const DIGITS_BEYOND_EXACT = /\d{16}/;

/** Reviver that refuses whole numbers which JavaScript would silently round. */
function refuseRounding(
  this: unknown,
  key: string,
  value: unknown,
  context?: { source?: string },
): unknown {
  if (
    typeof value === 'number' &&
    !Number.isSafeInteger(value) &&
    /^-?\d+$/.test(context?.source ?? '')
  ) {
    throw new InvalidInput(
      `${key} is a number too large to be kept exactly (beyond 2^53); send it as a string.`,
      [{ at: key, message: 'is beyond 2^53; send it as a string' }],
    );
  }
  return value;
}

/** Parses a JSON body strictly. @throws InvalidInput */
export function parseJson(bytes: Buffer): unknown {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new InvalidInput('The body is not UTF-8.');
  }
  let value: unknown;
  try {
    value = JSON.parse(text, DIGITS_BEYOND_EXACT.test(text) ? refuseRounding : undefined);
  } catch (error) {
    if (error instanceof InvalidInput) throw error;
    const why = error instanceof SyntaxError ? error.message : 'it nests too deep';
    throw new InvalidInput(`The body is not JSON: ${why}`);
  }
  checkInput(value, 'body');
  return value;
}

/**
 * Reads the body of an operation that takes JSON, after the guard has let the caller in, and checks
 * everything that came with the request against the rules that no operation bends.
 *
 * A guard itself, the one kind of step in which Nest does without an observable: a chain of them is
 * what an interceptor costs every request, those without a body too.
 */
@Injectable()
export class BodyGuard implements CanActivate {
  private readonly readRaw: ReturnType<typeof express.raw>;

  constructor(
    @Inject(CONFIG) private readonly config: Config,
    private readonly reflector: Reflector,
  ) {
    this.readRaw = express.raw({
      limit: config.JSON_LIMIT_BYTES,
      type: ['application/json', 'application/*+json'],
    });
  }

  canActivate(context: ExecutionContext): boolean | Promise<boolean> {
    const http = context.switchToHttp();
    const req = http.getRequest<Request>();
    checkInput(req.params, 'path');
    checkInput(req.query, 'query');
    if (!hasBody(req) || this.isStreamed(context, req)) return true;
    return this.read(req, http.getResponse<Response>());
  }

  private isStreamed(context: ExecutionContext, req: Request): boolean {
    const when = this.reflector.getAllAndOverride<'always' | 'multipart' | undefined>(
      STREAMED_BODY,
      [context.getHandler(), context.getClass()],
    );
    return when === 'always' || (when === 'multipart' && Boolean(req.is('multipart/form-data')));
  }

  private async read(req: Request, res: Response): Promise<true> {
    await new Promise<void>((resolve, reject) => {
      this.readRaw(req, res, (error?: unknown) =>
        error ? reject(this.asProblem(error)) : resolve(),
      );
    });
    if (!Buffer.isBuffer(req.body)) {
      throw new UnsupportedMediaType('This operation takes application/json.');
    }
    const bytes: Buffer = req.body;
    req.bodyFingerprint = createHash('sha256').update(bytes).digest('hex');
    req.body = parseJson(bytes);
    return true;
  }

  private asProblem(error: unknown): Error {
    const { type, message } = error as { type?: string; message?: string };
    if (type === 'entity.too.large') {
      return new BodyTooLarge(
        `A JSON body holds ${this.config.JSON_LIMIT_BYTES} bytes at the most.`,
      );
    }
    if (type === 'encoding.unsupported') {
      return new UnsupportedMediaType(
        'This Content-Encoding is not supported; gzip, br and deflate are.',
      );
    }
    return new InvalidInput(`The body cannot be read: ${message ?? 'it broke off'}.`);
  }
}

function hasBody(req: Request): boolean {
  return (
    req.headers['transfer-encoding'] !== undefined || Number(req.headers['content-length'] ?? 0) > 0
  );
}
