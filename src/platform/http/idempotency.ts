import {
  Header,
  Inject,
  Injectable,
  SetMetadata,
  applyDecorators,
  type CallHandler,
  type ExecutionContext,
  type NestInterceptor,
  type OnModuleInit,
} from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { ApiHeader } from '@nestjs/swagger';
import type { Request, Response } from 'express';
import { createHash } from 'node:crypto';
import { defer, firstValueFrom, type Observable } from 'rxjs';
import { JOB_QUEUE, type JobQueue } from '../../core/contracts/job-queue.js';
import { UNIT_OF_WORK, type Tx, type UnitOfWork } from '../../core/contracts/unit-of-work.js';
import type { JsonValue } from '../../core/json.js';
import { InvalidInput } from '../../core/problems.js';
import { CONFIG, type Config } from '../config/config.js';
import { IdempotencyKeyReused } from './http-problems.js';
import { principalOf } from './principal.decorator.js';

/** What an answer is made of, as far as it must be given again. */
interface StoredAnswer {
  fingerprint: string;
  status: number;
  headers: Record<string, string>;
  body: JsonValue;
}

/** The headers of an answer that belong to it as much as its body. */
const KEPT_HEADERS = ['Location', 'ETag'];

/** Documents the header on an operation. */
export const IdempotencyKeyHeader = () =>
  ApiHeader({
    name: 'Idempotency-Key',
    required: false,
    description:
      'Any text of up to 255 characters. The same key with the same request gives the first answer again and does nothing; with another request it is refused.',
    schema: { type: 'string', minLength: 1, maxLength: 255 },
  });

const SHOWN_ONCE = 'varve:shown-once';

/**
 * Says that an operation's answer holds a secret, this once: nobody keeps it on the way, and an
 * Idempotency-Key, for which it would have to be stored, is refused.
 */
export const ShownOnce = () =>
  applyDecorators(SetMetadata(SHOWN_ONCE, true), Header('Cache-Control', 'no-store'));

/**
 * Idempotency-Key on POST (https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/).
 *
 * The key, what the operation changes and its answer commit in one transaction, which the handler's
 * own joins: a crash leaves all of them or none. A second request waits for the first at the key's
 * row. It runs after whatever reads the body, so that no transaction waits for a slow sender.
 */
@Injectable()
export class IdempotencyInterceptor implements NestInterceptor, OnModuleInit {
  constructor(
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
    @Inject(JOB_QUEUE) private readonly jobs: JobQueue,
    @Inject(CONFIG) private readonly config: Config,
    private readonly reflector: Reflector,
  ) {}

  onModuleInit(): void {
    this.jobs.define('platform.forget-idempotency-keys', () => this.forgetOld());
    this.jobs.every('platform.forget-idempotency-keys', '41 * * * *');
  }

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const req = context.switchToHttp().getRequest<Request>();
    const key = req.headers['idempotency-key'];
    if (req.method !== 'POST' || key === undefined || !req.principal) return next.handle();
    if (typeof key !== 'string' || !/^[\x20-\x7e]{1,255}$/.test(key)) {
      throw new InvalidInput('Idempotency-Key takes 1 to 255 visible ASCII characters.', [
        { at: 'Idempotency-Key', message: 'takes 1 to 255 visible ASCII characters' },
      ]);
    }
    if (this.reflector.get<boolean>(SHOWN_ONCE, context.getHandler())) {
      const message = 'is not taken here: a secret is shown once and its answer stored nowhere';
      throw new InvalidInput(`Idempotency-Key ${message}.`, [{ at: 'Idempotency-Key', message }]);
    }
    const res = context.switchToHttp().getResponse<Response>();
    return defer(() => this.unitOfWork.run((tx) => this.once(tx, key, req, res, next)));
  }

  private async once(
    tx: Tx,
    key: string,
    req: Request,
    res: Response,
    next: CallHandler,
  ): Promise<unknown> {
    const { userId } = principalOf(req);
    const fingerprint = fingerprintOf(req);
    const claimed = await tx.query(
      `INSERT INTO idempotency_keys (user_id, key, fingerprint) VALUES ($1, $2, $3)
       ON CONFLICT (user_id, key) DO NOTHING RETURNING key`,
      [userId, key, fingerprint],
    );
    if (claimed.length === 0) {
      const [first] = await tx.query<StoredAnswer>(
        `SELECT fingerprint, status, headers, body FROM idempotency_keys
         WHERE user_id = $1 AND key = $2`,
        [userId, key],
      );
      return repeat(first, fingerprint, res);
    }
    const body: unknown = await firstValueFrom(next.handle(), { defaultValue: undefined });
    const headers = Object.fromEntries(
      KEPT_HEADERS.flatMap((name) => {
        const value = res.getHeader(name);
        return typeof value === 'string' ? [[name, value]] : [];
      }),
    );
    await tx.query(
      `UPDATE idempotency_keys SET status = $3, headers = $4, body = $5
       WHERE user_id = $1 AND key = $2`,
      [userId, key, res.statusCode, headers, JSON.stringify(body ?? null)],
    );
    return body;
  }

  private async forgetOld(): Promise<void> {
    await this.unitOfWork.run((tx) =>
      tx.query(
        `DELETE FROM idempotency_keys WHERE created_at < now() - $1 * interval '1 millisecond'`,
        [this.config.IDEMPOTENCY_RETENTION],
      ),
    );
  }
}

function fingerprintOf(req: Request): string {
  return createHash('sha256')
    .update(JSON.stringify([req.originalUrl, req.bodyFingerprint ?? null]))
    .digest('hex');
}

function repeat(first: StoredAnswer | undefined, fingerprint: string, res: Response): unknown {
  if (first?.fingerprint !== fingerprint) {
    throw new IdempotencyKeyReused(
      'This Idempotency-Key came with another request before; use a new key for a new request.',
    );
  }
  res.status(first.status);
  for (const [name, value] of Object.entries(first.headers)) res.setHeader(name, value);
  return first.body ?? undefined;
}
