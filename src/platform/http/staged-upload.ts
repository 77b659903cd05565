import {
  applyDecorators,
  createParamDecorator,
  Inject,
  Injectable,
  SetMetadata,
  type CanActivate,
  type ExecutionContext,
} from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { Request, Response } from 'express';
import {
  UPLOAD_RECEIVER,
  type StagedBodies,
  type StagedUpload,
  type UploadReceiver,
} from '../../core/contracts/staged-upload.js';
import { StreamedBody } from './body.js';

declare module 'express-serve-static-core' {
  interface Request {
    /** What the body brought, once it has been received. */
    stagedUpload?: StagedUpload;
  }
}

const STAGED_BODIES = Symbol('STAGED_BODIES');

/**
 * Stages the contents in the body of an operation that `@ReceivesUpload()`, before its handler and
 * every interceptor run: a transaction around the handler never waits for a slow sender. It is a
 * guard for the reason that `BodyGuard` is one.
 */
@Injectable()
export class StagedUploadGuard implements CanActivate {
  constructor(
    @Inject(UPLOAD_RECEIVER) private readonly receiver: UploadReceiver,
    private readonly reflector: Reflector,
  ) {}

  canActivate(context: ExecutionContext): boolean | Promise<boolean> {
    const http = context.switchToHttp();
    const req = http.getRequest<Request>();
    const bodies = this.reflector.get<StagedBodies | undefined>(
      STAGED_BODIES,
      context.getHandler(),
    );
    return bodies ? this.receive(req, http.getResponse<Response>(), bodies) : true;
  }

  private async receive(req: Request, res: Response, bodies: StagedBodies): Promise<true> {
    req.stagedUpload = await this.receiver.receive(req, res, bodies);
    return true;
  }
}

/**
 * Says that an operation's body holds contents: any body, or only a multipart one (every other is
 * JSON, as elsewhere). They are staged when the handler runs; `@Upload()` gives them.
 */
export const ReceivesUpload = (bodies: StagedBodies) =>
  applyDecorators(
    StreamedBody(bodies === 'any' ? 'always' : 'multipart'),
    SetMetadata(STAGED_BODIES, bodies),
  );

/** Injects what the body brought into a handler that is marked with `@ReceivesUpload()`. */
export const Upload = createParamDecorator(
  (_: unknown, context: ExecutionContext): StagedUpload => {
    const { stagedUpload } = context.switchToHttp().getRequest<Request>();
    if (!stagedUpload) throw new Error('An operation with @Upload() lacks @ReceivesUpload()');
    return stagedUpload;
  },
);
