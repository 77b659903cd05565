import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { Request } from 'express';
import { Unauthenticated } from '../../core/problems.js';
import type { Principal } from '../../core/principal.js';

declare module 'express-serve-static-core' {
  interface Request {
    /** Who makes the request; set by the guard once the credentials have been verified. */
    principal?: Principal;
  }
}

/** The principal of a request that has one. @throws Unauthenticated */
export function principalOf(req: Request): Principal {
  if (!req.principal) throw new Unauthenticated();
  return req.principal;
}

/** Injects the signed-in caller into a handler. */
export const CurrentPrincipal = createParamDecorator(
  (_: unknown, context: ExecutionContext): Principal =>
    principalOf(context.switchToHttp().getRequest<Request>()),
);
