import { Body, Controller, Post } from '@nestjs/common';
import { ApiBody, ApiCreatedResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Principal } from '../../core/principal.js';
import { Forbidden, InvalidInput, Unauthenticated } from '../../core/problems.js';
import { AdminOnly } from '../../platform/http/access.decorators.js';
import { CurrentPrincipal } from '../../platform/http/principal.decorator.js';
import { Problems } from '../../platform/http/problems.decorator.js';
import { EventView } from '../log/events.dto.js';
import { EventIntake } from './event-intake.js';
import { parseBatch, parseEvent } from './new-event.js';
import { EventBatchDto, NewEventDto, PublishedEventsView } from './publish.dto.js';
import { EventIdTaken } from './publishing.problems.js';

@ApiTags('events')
@Controller({ path: 'events' })
export class PublishController {
  constructor(private readonly intake: EventIntake) {}

  @Post()
  @AdminOnly({ scope: 'write' })
  @ApiOperation({
    operationId: 'publishEvent',
    summary: 'Publish an event of any type',
    description:
      'For administrators, with a key of the scope `write` or `admin`. Whoever follows the events that it matches is told at least once. Published again by the same id it is told no more, and the answer is the first.',
  })
  @ApiBody({ type: NewEventDto })
  @ApiCreatedResponse({ type: EventView })
  @Problems(InvalidInput, Unauthenticated, Forbidden, EventIdTaken)
  async publish(
    @CurrentPrincipal() principal: Principal,
    @Body() body: unknown,
  ): Promise<EventView> {
    const [entry] = await this.intake.publish(sourceOf(principal), [parseEvent(body)]);
    return EventView.of(entry!);
  }

  @Post('batch')
  @AdminOnly({ scope: 'write' })
  @ApiOperation({
    operationId: 'publishEvents',
    summary: 'Publish several events together, in their order, or none of them',
  })
  @ApiBody({ type: EventBatchDto })
  @ApiCreatedResponse({ type: PublishedEventsView })
  @Problems(InvalidInput, Unauthenticated, Forbidden, EventIdTaken)
  async publishBatch(
    @CurrentPrincipal() principal: Principal,
    @Body() body: unknown,
  ): Promise<PublishedEventsView> {
    const entries = await this.intake.publish(sourceOf(principal), parseBatch(body));
    return { items: entries.map(EventView.of) };
  }
}

function sourceOf({ userId }: Principal): string {
  return `/users/${userId}`;
}
