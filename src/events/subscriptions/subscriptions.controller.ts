import { Body, Controller, Delete, Get, HttpCode, Param, Post, Query } from '@nestjs/common';
import {
  ApiNoContentResponse,
  ApiOkResponse,
  ApiOperation,
  ApiParam,
  ApiTags,
} from '@nestjs/swagger';
import { Forbidden, InvalidInput, NotFound, Unauthenticated } from '../../core/problems.js';
import { AdminOnly } from '../../platform/http/access.decorators.js';
import { PageQuery, decodeCursor, pageOf, toPage, type Page } from '../../platform/http/paging.js';
import { Problems } from '../../platform/http/problems.decorator.js';
import { SubscriptionInUse } from '../events.problems.js';
import { SubscriptionAdmin } from './subscription-admin.js';
import { MAX_NAME, RewindDto, SubscriptionView } from './subscriptions.dto.js';

const SubscriptionName = () =>
  ApiParam({
    name: 'subscription',
    schema: { type: 'string', minLength: 1, maxLength: MAX_NAME },
    example: 'storage.release-dataset',
  });

const isName = (value: unknown): value is string => typeof value === 'string';

@ApiTags('events')
@Controller({ path: 'events/subscriptions' })
export class SubscriptionsController {
  constructor(private readonly admin: SubscriptionAdmin) {}

  @Get()
  @AdminOnly()
  @ApiOperation({
    operationId: 'listEventSubscriptions',
    summary: 'List durable subscriptions, with how far each has come',
  })
  @ApiOkResponse({ type: pageOf(SubscriptionView) })
  @Problems(InvalidInput, Unauthenticated, Forbidden)
  async list(@Query() { limit, cursor }: PageQuery): Promise<Page<SubscriptionView>> {
    const after = cursor === undefined ? '' : decodeCursor(cursor, isName);
    const rows = await this.admin.list(after, limit + 1);
    return toPage(rows, limit, ({ name }) => name, SubscriptionView.of);
  }

  @Get(':subscription')
  @AdminOnly()
  @SubscriptionName()
  @ApiOperation({ operationId: 'getEventSubscription', summary: 'Get a durable subscription' })
  @ApiOkResponse({ type: SubscriptionView })
  @Problems(InvalidInput, Unauthenticated, Forbidden, NotFound)
  async get(@Param('subscription') name: string): Promise<SubscriptionView> {
    return SubscriptionView.of(await this.admin.get(name));
  }

  @Post(':subscription/rewind')
  @AdminOnly()
  @HttpCode(200)
  @SubscriptionName()
  @ApiOperation({
    operationId: 'rewindEventSubscription',
    summary: 'Set the position of a durable subscription, to a time or a cursor',
    description:
      'Everything after it is handled, again or for the first time. Handlers see the ids that they saw before.',
  })
  @ApiOkResponse({ type: SubscriptionView })
  @Problems(InvalidInput, Unauthenticated, Forbidden, NotFound)
  async rewind(
    @Param('subscription') name: string,
    @Body() to: RewindDto,
  ): Promise<SubscriptionView> {
    await this.admin.rewind(name, to);
    return SubscriptionView.of(await this.admin.get(name));
  }

  @Delete(':subscription')
  @AdminOnly()
  @HttpCode(204)
  @SubscriptionName()
  @ApiOperation({
    operationId: 'deleteEventSubscription',
    summary: 'Forget a durable subscription that nobody runs, and its dead letters',
  })
  @ApiNoContentResponse()
  @Problems(InvalidInput, Unauthenticated, Forbidden, NotFound, SubscriptionInUse)
  remove(@Param('subscription') name: string): Promise<void> {
    return this.admin.remove(name);
  }
}
