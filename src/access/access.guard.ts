import { CanActivate, ExecutionContext, Inject, Injectable } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { Request } from 'express';
import { ACCESS_POLICY, type AccessPolicy } from '../core/contracts/access-policy.js';
import { covers, type Permission } from '../core/permission.js';
import { UNIT_OF_WORK, type UnitOfWork } from '../core/contracts/unit-of-work.js';
import type { DatasetId, FileId } from '../core/ids.js';
import type { Principal } from '../core/principal.js';
import { Forbidden, Unauthenticated } from '../core/problems.js';
import { RequestContext } from '../platform/logging/request-context.js';
import { ACCESS_REQUIREMENT, type AccessRequirement } from '../platform/http/access.decorators.js';
import { parseId } from '../platform/http/id-param.decorator.js';
// Brings in the declaration of `request.principal`.
import type {} from '../platform/http/principal.decorator.js';
import { Authenticator } from './authenticator.js';
import { FilePermissions } from './file-permissions.js';
import { RateLimiter } from './limits/rate-limiter.js';
import { judge } from './sql-access-policy.js';

/** Where @nestjs/swagger keeps what `@ApiOperation` says; it does not export the name. */
const API_OPERATION = 'swagger/apiOperation';

/** Closes every operation to everybody but those whom its access decorator lets in. */
@Injectable()
export class AccessGuard implements CanActivate {
  constructor(
    private readonly reflector: Reflector,
    private readonly authenticator: Authenticator,
    private readonly filePermissions: FilePermissions,
    private readonly limiter: RateLimiter,
    @Inject(ACCESS_POLICY) private readonly policy: AccessPolicy,
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
  ) {}

  /** @throws Unauthenticated, Forbidden, NotFound, InvalidInput for an id that is none */
  async canActivate(context: ExecutionContext): Promise<boolean> {
    const requirement = this.reflector.get<AccessRequirement | undefined>(
      ACCESS_REQUIREMENT,
      context.getHandler(),
    );
    const request = context.switchToHttp().getRequest<Request>();
    const operation = this.operationOf(context);
    const caller = { userId: null, keyId: null, address: addressOf(request), operation };
    RequestContext.identify(caller);
    const http = context.switchToHttp();
    if (requirement?.kind === 'public') {
      // Probes ask often; whoever tries passwords or tokens sends them.
      if (request.method !== 'GET') this.limiter.countAddress(caller.address, http.getResponse());
      return true;
    }

    const principal = await this.identify(request);
    if (!principal) {
      this.limiter.countAddress(caller.address, http.getResponse());
      throw new Unauthenticated();
    }
    request.principal = principal;
    RequestContext.identify({ ...caller, userId: principal.userId, keyId: principal.keyId });
    this.limiter.countCredential(principal, http.getResponse());
    requireScope(requirement, principal, request);
    await this.check(requirement, principal, request);
    return true;
  }

  /** Its id in the OpenAPI document, by which the audit names it. */
  private operationOf(context: ExecutionContext): string {
    const { operationId } =
      this.reflector.get<{ operationId?: string } | undefined>(
        API_OPERATION,
        context.getHandler(),
      ) ?? {};
    return operationId ?? context.getHandler().name;
  }

  private identify(request: Request): Promise<Principal | null> {
    return this.authenticator.identify(request.headers.authorization ?? '');
  }

  private async check(
    requirement: AccessRequirement | undefined,
    principal: Principal,
    request: Request,
  ): Promise<void> {
    switch (requirement?.kind) {
      case 'public':
      case 'signed-in':
        return;
      case 'admin':
        if (principal.role !== 'admin') throw new Forbidden('Only an administrator may do this.');
        return;
      case 'dataset': {
        const id = parseId<DatasetId>(request.params[requirement.parameter], requirement.parameter);
        return this.unitOfWork.read((tx) =>
          this.policy.requireDataset(tx, principal, id, requirement.permission, {
            includeDeleted: requirement.includeDeleted,
          }),
        );
      }
      case 'file': {
        const id = parseId<FileId>(request.params[requirement.parameter], requirement.parameter);
        const held = await this.filePermissions.of(principal, id);
        return judge(held, requirement.permission, `File ${id}`);
      }
      case undefined:
        throw new Forbidden('This operation does not say who may call it, so nobody may.');
    }
  }
}

/** A key for reading reads, whoever's it is. @throws Forbidden */
function requireScope(
  requirement: AccessRequirement | undefined,
  { scope }: Principal,
  { method }: Request,
): void {
  if (scope === undefined || scope === 'admin') return;
  const wanted = scopeOf(requirement, method);
  if (covers(scope, wanted)) return;
  throw new Forbidden(`This takes credentials with the scope ${wanted}; yours have ${scope}.`);
}

function scopeOf(requirement: AccessRequirement | undefined, method: string): Permission {
  switch (requirement?.kind) {
    case 'dataset':
    case 'file':
      return requirement.permission;
    case 'signed-in':
      return requirement.scope ?? (method === 'GET' || method === 'HEAD' ? 'read' : 'write');
    case 'admin':
      return requirement.scope ?? 'admin';
    case 'public':
    case undefined:
      return 'admin';
  }
}

/** Where a request comes from; an IPv4 address as such, however the socket writes it. */
function addressOf({ ip }: Request): string | null {
  return ip?.replace(/^::ffff:(?=\d+\.)/, '') ?? null;
}
