import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { EVENT_TYPE } from '../../core/events/event-pattern.js';
import type { JsonValue } from '../../core/json.js';
import { ANY_JSON, EventView } from '../log/events.dto.js';
import { MAX_BATCH, MAX_CORRELATION_ID, MAX_TEXT, MAX_TYPE } from './new-event.js';

/** An event that somebody publishes: CloudEvents 1.0, of any type. `new-event.ts` reads it. */
export class NewEventDto {
  @ApiPropertyOptional({ enum: ['1.0'], default: '1.0' })
  specversion?: '1.0';

  @ApiPropertyOptional({
    format: 'uuid',
    description:
      'What makes it harmless to publish the event twice: the same id with the same content gives the first answer again, with another it is refused. Without one the event is given one.',
    example: '5b0e7a0e-9a1c-4c0e-8a57-0d2f6f7d1c7e',
  })
  id?: string;

  @ApiPropertyOptional({
    minLength: 1,
    maxLength: MAX_TEXT,
    description: 'Who says so. Without one, the user whose key it is.',
    example: '/evaluators/7',
  })
  source?: string;

  @ApiProperty({
    maxLength: MAX_TYPE,
    pattern: EVENT_TYPE.source,
    description:
      'Dotted, from the general to the particular, in lower case. The data of a type that is described at `/api/asyncapi.json` has the shape that stands there.',
    example: 'evaluation.started',
  })
  type!: string;

  @ApiPropertyOptional({
    minLength: 1,
    maxLength: MAX_TEXT,
    description:
      'What it is about; events about the same keep their order. Without one, its source.',
    example: 'evaluation/e-17',
  })
  subject?: string;

  @ApiPropertyOptional({
    format: 'date-time',
    description: 'When it happened (RFC 3339); without one, when it was published.',
    example: '2026-03-01T12:00:00Z',
  })
  time?: string;

  @ApiPropertyOptional({ enum: ['application/json'], default: 'application/json' })
  datacontenttype?: 'application/json';

  @ApiPropertyOptional({
    type: String,
    nullable: true,
    minLength: 1,
    maxLength: MAX_CORRELATION_ID,
    description: 'The request that it came from. Without one, this request’s id.',
    example: 'a3f1…',
  })
  correlationid?: string | null;

  @ApiProperty({
    ...ANY_JSON,
    description: 'What there is to say: any JSON of up to 256 KiB.',
    example: { evaluationId: 'e-17' },
  })
  data!: JsonValue;
}

/** Events that are published together or not at all. */
export class EventBatchDto {
  @ApiProperty({ type: [NewEventDto], minItems: 1, maxItems: MAX_BATCH })
  events!: NewEventDto[];
}

export class PublishedEventsView {
  @ApiProperty({ type: [EventView], description: 'As they stand in the log, in the order given.' })
  items!: EventView[];
}
