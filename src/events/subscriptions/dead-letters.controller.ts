import { Controller, Delete, Get, HttpCode, Param, Post, Query } from '@nestjs/common';
import {
  ApiAcceptedResponse,
  ApiNoContentResponse,
  ApiOkResponse,
  ApiOperation,
  ApiParam,
  ApiTags,
} from '@nestjs/swagger';
import { Forbidden, InvalidInput, NotFound, Unauthenticated } from '../../core/problems.js';
import { AdminOnly } from '../../platform/http/access.decorators.js';
import { decodeCursor, pageOf, toPage, type Page } from '../../platform/http/paging.js';
import { Problems } from '../../platform/http/problems.decorator.js';
import { SubscriptionAdmin } from './subscription-admin.js';
import { DeadLetterQuery, DeadLetterView } from './subscriptions.dto.js';

const LETTER_ID = /^[1-9]\d{0,17}$/;

const DeadLetterId = () =>
  ApiParam({
    name: 'deadLetter',
    schema: { type: 'string', pattern: LETTER_ID.source },
    example: '17',
  });

const parseLetterId = {
  transform(text: string): string {
    if (LETTER_ID.test(text)) return text;
    const message = 'takes the id of a dead letter';
    throw new InvalidInput(`deadLetter ${message}.`, [{ at: 'deadLetter', message }]);
  },
};

const isLetterId = (value: unknown): value is string =>
  typeof value === 'string' && LETTER_ID.test(value);

@ApiTags('events')
@Controller({ path: 'events/dead-letters' })
export class DeadLettersController {
  constructor(private readonly admin: SubscriptionAdmin) {}

  @Get()
  @AdminOnly()
  @ApiOperation({
    operationId: 'listDeadLetters',
    summary: 'List the events that durable subscriptions have given up, the oldest first',
  })
  @ApiOkResponse({ type: pageOf(DeadLetterView) })
  @Problems(InvalidInput, Unauthenticated, Forbidden)
  async list(@Query() query: DeadLetterQuery): Promise<Page<DeadLetterView>> {
    const { limit, cursor, subscription = null } = query;
    const after = cursor === undefined ? '0' : decodeCursor(cursor, isLetterId);
    const rows = await this.admin.listDeadLetters(after, limit + 1, subscription);
    return toPage(rows, limit, ({ id }) => id, DeadLetterView.of);
  }

  @Get(':deadLetter')
  @AdminOnly()
  @DeadLetterId()
  @ApiOperation({
    operationId: 'getDeadLetter',
    summary: 'Get a dead letter, with its event and why it failed',
  })
  @ApiOkResponse({ type: DeadLetterView })
  @Problems(InvalidInput, Unauthenticated, Forbidden, NotFound)
  async get(@Param('deadLetter', parseLetterId) id: string): Promise<DeadLetterView> {
    return DeadLetterView.of(await this.admin.getDeadLetter(id));
  }

  @Post(':deadLetter/retry')
  @AdminOnly()
  @HttpCode(202)
  @DeadLetterId()
  @ApiOperation({
    operationId: 'retryDeadLetter',
    summary: 'Have the event handled again',
    description: 'It is no dead letter until it has failed as often as a new event may.',
  })
  @ApiAcceptedResponse({ description: 'It is due now' })
  @Problems(InvalidInput, Unauthenticated, Forbidden, NotFound)
  retry(@Param('deadLetter', parseLetterId) id: string): Promise<void> {
    return this.admin.retryDeadLetter(id);
  }

  @Delete(':deadLetter')
  @AdminOnly()
  @HttpCode(204)
  @DeadLetterId()
  @ApiOperation({ operationId: 'dropDeadLetter', summary: 'Give an event up for good' })
  @ApiNoContentResponse()
  @Problems(InvalidInput, Unauthenticated, Forbidden, NotFound)
  drop(@Param('deadLetter', parseLetterId) id: string): Promise<void> {
    return this.admin.dropDeadLetter(id);
  }
}
