import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsISO8601, IsOptional, IsString, Matches, MaxLength } from 'class-validator';
import type { DomainEvent } from '../../core/contracts/event-bus.js';
import { PageQuery } from '../../platform/http/paging.js';
import { CURSOR_EXAMPLE, CURSOR_PATTERN } from '../log/events.dto.js';

export const MAX_NAME = 200;

export class RewindDto {
  @ApiPropertyOptional({
    format: 'date-time',
    description: 'To the first event that was published at this time or later.',
    example: '2026-03-01T12:00:00Z',
  })
  @IsOptional()
  @IsISO8601({ strict: true, strictSeparator: true })
  @Matches(/T.*(Z|[+-]\d\d:\d\d)$/, { message: 'takes a time with its zone, in RFC 3339' })
  time?: string;

  @ApiPropertyOptional({
    description: 'To after the event with this `cursor`; `0-0` is before everything.',
    pattern: CURSOR_PATTERN.source,
    example: CURSOR_EXAMPLE,
  })
  @IsOptional()
  @Matches(CURSOR_PATTERN, { message: 'takes the cursor of an event' })
  cursor?: string;
}

export class DeadLetterQuery extends PageQuery {
  @ApiPropertyOptional({ maxLength: MAX_NAME, example: 'storage.release-dataset' })
  @IsOptional()
  @IsString()
  @MaxLength(MAX_NAME)
  subscription?: string;
}

/** A row of `event_subscriptions`, as far as it is told. */
export interface SubscriptionRow {
  readonly name: string;
  readonly pattern: string;
  readonly cursor: string;
  readonly holder: string | null;
  readonly lag_seconds: number;
  readonly pending: number;
  readonly dead: number;
  readonly seen_at: Date;
}

export class SubscriptionView {
  @ApiProperty({ example: 'storage.release-dataset' })
  name!: string;

  @ApiProperty({ example: 'dataset.deleted' })
  pattern!: string;

  @ApiProperty({
    description: 'The position: what comes after it is yet to be handled.',
    example: CURSOR_EXAMPLE,
  })
  cursor!: string;

  @ApiProperty({
    type: String,
    nullable: true,
    description: 'The process that runs it at the moment.',
    example: 'varve-1/4711/0b7e…',
  })
  holder!: string | null;

  @ApiProperty({ description: 'The age of the next event after the position.', example: 0 })
  lagSeconds!: number;

  @ApiProperty({
    type: 'integer',
    description: 'Events that failed, or wait for one that did, and are tried again.',
    example: 0,
  })
  pending!: number;

  @ApiProperty({ type: 'integer', description: 'Dead letters.', example: 0 })
  dead!: number;

  @ApiProperty({ format: 'date-time', description: 'When a process last ran it.' })
  seenAt!: string;

  static of(this: void, row: SubscriptionRow): SubscriptionView {
    const { lag_seconds, seen_at, ...rest } = row;
    return { ...rest, lagSeconds: lag_seconds, seenAt: seen_at.toISOString() };
  }
}

/** A row of `event_deliveries` that is dead. */
export interface DeadLetterRow {
  readonly id: string;
  readonly subscription: string;
  readonly event: DomainEvent;
  readonly cursor: string;
  readonly attempts: number;
  readonly last_error: string | null;
  readonly died_at: Date;
}

export class DeadLetterView {
  @ApiProperty({ pattern: '^[1-9]\\d{0,18}$', example: '17' })
  id!: string;

  @ApiProperty({ example: 'storage.release-dataset' })
  subscription!: string;

  @ApiProperty({
    type: 'object',
    additionalProperties: true,
    description: 'The event, as CloudEvents 1.0.',
  })
  event!: DomainEvent;

  @ApiProperty({ description: 'Where the event stands in the log.', example: CURSOR_EXAMPLE })
  cursor!: string;

  @ApiProperty({ type: 'integer', description: 'How often it was begun.', example: 3 })
  attempts!: number;

  @ApiProperty({ type: String, nullable: true, example: 'Error: no route to host' })
  lastError!: string | null;

  @ApiProperty({ format: 'date-time' })
  diedAt!: string;

  static of(this: void, row: DeadLetterRow): DeadLetterView {
    const { last_error, died_at, ...rest } = row;
    return { ...rest, lastError: last_error, diedAt: died_at.toISOString() };
  }
}
