import { Body, Controller, Delete, Get, HttpCode, Param, Patch, Post, Query } from '@nestjs/common';
import {
  ApiAcceptedResponse,
  ApiCreatedResponse,
  ApiNoContentResponse,
  ApiOkResponse,
  ApiOperation,
  ApiParam,
  ApiTags,
} from '@nestjs/swagger';
import type { Principal } from '../../core/principal.js';
import { InvalidInput, NotFound, Unauthenticated, Unavailable } from '../../core/problems.js';
import { SignedIn } from '../../platform/http/access.decorators.js';
import { IdParam } from '../../platform/http/id-param.decorator.js';
import { ShownOnce } from '../../platform/http/idempotency.js';
import { PageQuery, decodeCursor, pageOf, toPage, type Page } from '../../platform/http/paging.js';
import { CurrentPrincipal } from '../../platform/http/principal.decorator.js';
import { Problems } from '../../platform/http/problems.decorator.js';
import { TooManyWebhooks } from '../events.problems.js';
import {
  ChangeWebhookDto,
  CreateWebhookDto,
  CreatedWebhookView,
  DeliveryQuery,
  DeliveryView,
  WebhookSecretView,
  WebhookView,
} from './webhooks.dto.js';
import { WebhooksService } from './webhooks.service.js';

const DELIVERY_ID = /^[1-9]\d{0,17}$/;

/** Injects the id of a delivery. */
function DeliveryId(): ParameterDecorator {
  return Param('delivery', {
    transform(text: string): string {
      if (DELIVERY_ID.test(text)) return text;
      const message = 'takes the id of a delivery';
      throw new InvalidInput(`delivery ${message}.`, [{ at: 'delivery', message }]);
    },
  });
}

const isId = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) > 0;
const isDeliveryId = (value: unknown): value is string =>
  typeof value === 'string' && DELIVERY_ID.test(value);

@ApiTags('webhooks')
@Controller({ path: 'webhooks' })
export class WebhooksController {
  constructor(private readonly webhooks: WebhooksService) {}

  @Post()
  @SignedIn()
  @ShownOnce()
  @ApiOperation({
    operationId: 'createWebhook',
    summary: 'Have events posted to an address',
    description:
      'Messages follow Standard Webhooks: `webhook-id` (the event’s), `webhook-timestamp` and `webhook-signature`. They are the events that you may read when they are sent. What fails is tried again for a day; where everything has failed for as long, the webhook is disabled. The answer holds the secret, this once; so it takes no Idempotency-Key.',
  })
  @ApiCreatedResponse({ type: CreatedWebhookView })
  @Problems(InvalidInput, Unauthenticated, TooManyWebhooks, Unavailable)
  async create(
    @CurrentPrincipal() principal: Principal,
    @Body() body: CreateWebhookDto,
  ): Promise<CreatedWebhookView> {
    const { webhook, secret } = await this.webhooks.create(principal, body);
    return { ...WebhookView.of(webhook), secret };
  }

  @Get()
  @SignedIn()
  @ApiOperation({
    operationId: 'listWebhooks',
    summary: 'List webhooks: your own, or for administrators everybody’s',
  })
  @ApiOkResponse({ type: pageOf(WebhookView) })
  @Problems(InvalidInput, Unauthenticated)
  async list(
    @CurrentPrincipal() principal: Principal,
    @Query() { limit, cursor }: PageQuery,
  ): Promise<Page<WebhookView>> {
    const after = cursor === undefined ? 0 : decodeCursor(cursor, isId);
    const rows = await this.webhooks.list(principal, after, limit + 1);
    return toPage(rows, limit, ({ id }) => id, WebhookView.of);
  }

  @Get(':webhookId')
  @SignedIn()
  @ApiOperation({ operationId: 'getWebhook', summary: 'Get a webhook' })
  @ApiOkResponse({ type: WebhookView })
  @Problems(InvalidInput, Unauthenticated, NotFound)
  async get(
    @CurrentPrincipal() principal: Principal,
    @IdParam('webhookId') id: number,
  ): Promise<WebhookView> {
    return WebhookView.of(await this.webhooks.get(principal, id));
  }

  @Patch(':webhookId')
  @SignedIn()
  @ApiOperation({
    operationId: 'changeWebhook',
    summary: 'Change a webhook, stop it, or start it again',
  })
  @ApiOkResponse({ type: WebhookView })
  @Problems(InvalidInput, Unauthenticated, NotFound)
  async change(
    @CurrentPrincipal() principal: Principal,
    @IdParam('webhookId') id: number,
    @Body() body: ChangeWebhookDto,
  ): Promise<WebhookView> {
    return WebhookView.of(await this.webhooks.change(principal, id, body));
  }

  @Delete(':webhookId')
  @SignedIn()
  @HttpCode(204)
  @ApiOperation({ operationId: 'deleteWebhook', summary: 'Delete a webhook and its delivery log' })
  @ApiNoContentResponse()
  @Problems(InvalidInput, Unauthenticated, NotFound)
  remove(
    @CurrentPrincipal() principal: Principal,
    @IdParam('webhookId') id: number,
  ): Promise<void> {
    return this.webhooks.remove(principal, id);
  }

  @Post(':webhookId/secret')
  @SignedIn()
  @ShownOnce()
  @ApiOperation({
    operationId: 'rotateWebhookSecret',
    summary: 'Get a new secret',
    description:
      'For a day messages are signed with the one before as well. The answer holds the secret, this once; so it takes no Idempotency-Key.',
  })
  @ApiCreatedResponse({ type: WebhookSecretView })
  @Problems(InvalidInput, Unauthenticated, NotFound, Unavailable)
  async rotate(
    @CurrentPrincipal() principal: Principal,
    @IdParam('webhookId') id: number,
  ): Promise<WebhookSecretView> {
    return { secret: await this.webhooks.rotate(principal, id) };
  }

  @Get(':webhookId/deliveries')
  @SignedIn()
  @ApiOperation({
    operationId: 'listWebhookDeliveries',
    summary: 'List what was sent, and how it went, the newest first',
  })
  @ApiOkResponse({ type: pageOf(DeliveryView) })
  @Problems(InvalidInput, Unauthenticated, NotFound)
  async deliveries(
    @CurrentPrincipal() principal: Principal,
    @IdParam('webhookId') id: number,
    @Query() { limit, cursor, state }: DeliveryQuery,
  ): Promise<Page<DeliveryView>> {
    const before = cursor === undefined ? null : decodeCursor(cursor, isDeliveryId);
    const selection = { before, limit: limit + 1, state: state ?? null };
    const rows = await this.webhooks.deliveries(principal, id, selection);
    return toPage(rows, limit, (row) => row.id, DeliveryView.of);
  }

  @Post(':webhookId/deliveries/:delivery/redeliver')
  @SignedIn()
  @HttpCode(202)
  @ApiParam({
    name: 'delivery',
    schema: { type: 'string', pattern: DELIVERY_ID.source },
    example: '42',
  })
  @ApiOperation({
    operationId: 'redeliverWebhook',
    summary: 'Send a message once more, with the id that it had',
  })
  @ApiAcceptedResponse({ type: DeliveryView })
  @Problems(InvalidInput, Unauthenticated, NotFound)
  async redeliver(
    @CurrentPrincipal() principal: Principal,
    @IdParam('webhookId') id: number,
    @DeliveryId() delivery: string,
  ): Promise<DeliveryView> {
    return DeliveryView.of(await this.webhooks.redeliver(principal, id, delivery));
  }
}
