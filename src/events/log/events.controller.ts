import { Controller, Get, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Principal } from '../../core/principal.js';
import { InvalidInput, Unauthenticated } from '../../core/problems.js';
import { SignedIn } from '../../platform/http/access.decorators.js';
import { CurrentPrincipal } from '../../platform/http/principal.decorator.js';
import { Problems } from '../../platform/http/problems.decorator.js';
import { EventLogQuery, EventPage, EventView } from './events.dto.js';
import { LOG_START, toCursor } from './log-position.js';
import { LogQuery } from './log-query.js';
import { patternsOf, positionOf } from './selection.js';

@ApiTags('events')
@Controller({ path: 'events' })
export class EventsController {
  constructor(private readonly log: LogQuery) {}

  @Get()
  @SignedIn()
  @ApiOperation({
    operationId: 'listEvents',
    summary: 'Read the log of what happened, the oldest first',
    description:
      'As far back as `EVENT_RETENTION`. You see the events about what you may read now; those about neither a dataset nor a file are for administrators.',
  })
  @ApiOkResponse({ type: EventPage })
  @Problems(InvalidInput, Unauthenticated)
  async list(
    @CurrentPrincipal() principal: Principal,
    @Query() { type, subject, after, limit }: EventLogQuery,
  ): Promise<EventPage> {
    const { entries, next } = await this.log.page(principal, {
      patterns: patternsOf(type),
      subject: subject ?? null,
      after: positionOf(after, 'after') ?? LOG_START,
      limit,
    });
    return { items: entries.map(EventView.of), nextCursor: next && toCursor(next) };
  }
}
