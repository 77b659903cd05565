import { Body, Controller, Delete, Get, HttpCode, Post, Query } from '@nestjs/common';
import {
  ApiCreatedResponse,
  ApiNoContentResponse,
  ApiOkResponse,
  ApiOperation,
  ApiTags,
} from '@nestjs/swagger';
import type { ApiKeyId } from '../core/ids.js';
import type { Principal } from '../core/principal.js';
import { Forbidden, InvalidInput, NotFound, Unauthenticated } from '../core/problems.js';
import { SignedIn } from '../platform/http/access.decorators.js';
import { IdParam } from '../platform/http/id-param.decorator.js';
import { ShownOnce } from '../platform/http/idempotency.js';
import { decodeCursor, pageOf, toPage, type Page } from '../platform/http/paging.js';
import { CurrentPrincipal } from '../platform/http/principal.decorator.js';
import { Problems } from '../platform/http/problems.decorator.js';
import {
  ApiKeyQuery,
  ApiKeyView,
  CreateApiKeyDto,
  IssuedApiKeyView,
  RotateApiKeyDto,
} from './api-keys.dto.js';
import { ApiKeysService } from './api-keys.service.js';
import { isIdCursor } from './id-cursor.js';
import { UserDisabled } from './problems.js';

@ApiTags('api-keys')
@Controller({ path: 'api-keys' })
export class ApiKeysController {
  constructor(private readonly keys: ApiKeysService) {}

  @Post()
  @SignedIn({ scope: 'admin' })
  @ShownOnce()
  @ApiOperation({
    operationId: 'createApiKey',
    summary: 'Make an API key',
    description: 'The answer holds the key itself, this once; so it takes no Idempotency-Key.',
  })
  @ApiCreatedResponse({ type: IssuedApiKeyView })
  @Problems(InvalidInput, Unauthenticated, Forbidden, NotFound, UserDisabled)
  async create(
    @CurrentPrincipal() principal: Principal,
    @Body() body: CreateApiKeyDto,
  ): Promise<IssuedApiKeyView> {
    const expiresAt = body.expiresAt === undefined ? null : toDate(body.expiresAt);
    const { name, userId, scope = 'admin' } = body;
    return IssuedApiKeyView.ofIssued(
      await this.keys.issue(principal, { name, scope, expiresAt, ...(userId && { userId }) }),
    );
  }

  @Get()
  @SignedIn()
  @ApiOperation({ operationId: 'listApiKeys', summary: 'List API keys' })
  @ApiOkResponse({ type: pageOf(ApiKeyView) })
  @Problems(InvalidInput, Unauthenticated, Forbidden)
  async list(
    @CurrentPrincipal() principal: Principal,
    @Query() query: ApiKeyQuery,
  ): Promise<Page<ApiKeyView>> {
    const { limit, cursor, userId } = query;
    const after = cursor === undefined ? 0 : decodeCursor(cursor, isIdCursor);
    const page = { after, limit: limit + 1, ...(userId && { userId }) };
    return toPage(await this.keys.list(principal, page), limit, (key) => key.id, ApiKeyView.of);
  }

  @Post(':keyId/rotate')
  @SignedIn({ scope: 'admin' })
  @ShownOnce()
  @ApiOperation({
    operationId: 'rotateApiKey',
    summary: 'Replace an API key',
    description:
      'The new key does what the old one does and lasts as long as that was made for. The answer holds it, this once; so it takes no Idempotency-Key.',
  })
  @ApiCreatedResponse({ type: IssuedApiKeyView })
  @Problems(InvalidInput, Unauthenticated, Forbidden, NotFound, UserDisabled)
  async rotate(
    @CurrentPrincipal() principal: Principal,
    @IdParam('keyId') id: ApiKeyId,
    @Body() { overlapSeconds }: RotateApiKeyDto,
  ): Promise<IssuedApiKeyView> {
    return IssuedApiKeyView.ofIssued(await this.keys.rotate(principal, id, overlapSeconds));
  }

  @Delete(':keyId')
  @SignedIn({ scope: 'admin' })
  @HttpCode(204)
  @ApiOperation({
    operationId: 'revokeApiKey',
    summary: 'Revoke an API key',
    description: 'It stops working within a second, for good.',
  })
  @ApiNoContentResponse()
  @Problems(InvalidInput, Unauthenticated, Forbidden, NotFound)
  revoke(@CurrentPrincipal() principal: Principal, @IdParam('keyId') id: ApiKeyId): Promise<void> {
    return this.keys.revoke(principal, id);
  }
}

/** RFC 3339 knows moments, such as leap seconds, that a Date does not. */
function toDate(text: string): Date {
  const date = new Date(text);
  if (!Number.isNaN(date.getTime())) return date;
  const message = 'is no moment of the calendar';
  throw new InvalidInput(`expiresAt ${message}.`, [{ at: 'expiresAt', message }]);
}
