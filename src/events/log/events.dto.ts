import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { Transform } from 'class-transformer';
import {
  ArrayMaxSize,
  IsArray,
  IsInt,
  IsOptional,
  IsString,
  Matches,
  Max,
  MaxLength,
  Min,
} from 'class-validator';
import type { JsonValue } from '../../core/json.js';
import { DEFAULT_PAGE, MAX_PAGE, toWholeNumber } from '../../platform/http/paging.js';
import { toCursor } from './log-position.js';
import type { LogEntry } from './entry-source.js';

export const CURSOR_EXAMPLE = '7431-1204';
export const CURSOR_PATTERN = /^\d{1,20}-\d{1,19}$/;
const MAX_PATTERNS = 20;
const MAX_PATTERN = 200;
const MAX_SUBJECT = 300;

/** How the OpenAPI document says that anything goes which JSON can say. */
export const ANY_JSON = {
  anyOf: [
    { type: 'object', additionalProperties: true },
    { type: 'array', items: {} },
    { type: 'string' },
    { type: 'number' },
    { type: 'boolean' },
    { type: 'null' },
  ],
};

const listed = ({ value }: { value: unknown }): unknown =>
  typeof value === 'string' ? value.split(',') : value;

/** Which events are asked for. */
export class EventSelectionQuery {
  @ApiPropertyOptional({
    description:
      'A type, or one with wildcards: `dataset.*` matches one segment, `dataset.**` any number. Several are divided by commas.',
    type: String,
    example: 'dataset.**',
  })
  @IsOptional()
  @Transform(listed)
  @IsArray()
  @ArrayMaxSize(MAX_PATTERNS)
  @IsString({ each: true })
  @MaxLength(MAX_PATTERN, { each: true })
  type?: string[];

  @ApiPropertyOptional({ description: 'What they are about.', example: 'dataset/12' })
  @IsOptional()
  @IsString()
  @MaxLength(MAX_SUBJECT)
  subject?: string;

  @ApiPropertyOptional({
    description: 'The `cursor` of an event, or a `nextCursor`: what comes after it is asked for.',
    pattern: CURSOR_PATTERN.source,
    example: CURSOR_EXAMPLE,
  })
  @IsOptional()
  @Matches(CURSOR_PATTERN, { message: 'takes the cursor of an event' })
  after?: string;
}

export class EventLogQuery extends EventSelectionQuery {
  @ApiPropertyOptional({ type: 'integer', minimum: 1, maximum: MAX_PAGE, default: DEFAULT_PAGE })
  @IsOptional()
  @Transform(toWholeNumber)
  @IsInt()
  @Min(1)
  @Max(MAX_PAGE)
  limit: number = DEFAULT_PAGE;
}

/** An event as it is told: CloudEvents 1.0 in JSON, with the extensions `correlationid` and `cursor`. */
export class EventView {
  @ApiProperty({ enum: ['1.0'], example: '1.0' })
  specversion!: '1.0';

  @ApiProperty({
    format: 'uuid',
    description: 'The same however often the event is told.',
    example: '5b0e7a0e-9a1c-4c0e-8a57-0d2f6f7d1c7e',
  })
  id!: string;

  @ApiProperty({ example: '/varve' })
  source!: string;

  @ApiProperty({ example: 'dataset.version.created' })
  type!: string;

  @ApiProperty({ example: 'dataset/12' })
  subject!: string;

  @ApiProperty({ format: 'date-time', example: '2026-03-01T12:00:00.000000Z' })
  time!: string;

  @ApiProperty({ enum: ['application/json'], example: 'application/json' })
  datacontenttype!: 'application/json';

  @ApiProperty({
    type: String,
    nullable: true,
    description: 'The request that it came from.',
    example: 'a3f1…',
  })
  correlationid!: string | null;

  @ApiProperty({
    ...ANY_JSON,
    description: 'Of types that the AsyncAPI document describes, an object.',
    example: { datasetId: 12 },
  })
  data!: JsonValue;

  @ApiProperty({
    description: 'Where it stands in the log: resume after it. Opaque.',
    example: CURSOR_EXAMPLE,
  })
  cursor!: string;

  static of(this: void, { event, position }: LogEntry): EventView {
    return { ...event, data: event.data, cursor: toCursor(position) };
  }
}

export class EventPage {
  @ApiProperty({ type: [EventView] })
  items!: EventView[];

  @ApiProperty({
    type: String,
    nullable: true,
    description:
      'Sent as `after` it asks for what follows; null where nothing does at present: go on after the last event’s `cursor` later, or follow the stream. A page may hold fewer events than asked for, or none, and yet not be the last.',
    example: null,
  })
  nextCursor!: string | null;
}
