import { ApiProperty, ApiPropertyOptional, PartialType, PickType } from '@nestjs/swagger';
import {
  ArrayMaxSize,
  ArrayMinSize,
  IsArray,
  IsBoolean,
  IsIn,
  IsOptional,
  IsString,
  MaxLength,
  ValidateIf,
} from 'class-validator';
import type { DomainEvent } from '../../core/contracts/event-bus.js';
import { PageQuery } from '../../platform/http/paging.js';

const MAX_URL = 2_000;
const MAX_TYPES = 50;
const MAX_TYPE = 200;
const MAX_TEXT = 500;
const IfGiven = () => ValidateIf((_, value: unknown) => value !== undefined);

export class CreateWebhookDto {
  @ApiProperty({
    format: 'uri',
    maxLength: MAX_URL,
    description: 'Where events are posted: http or https, at a public address.',
    example: 'https://hooks.example.com/varve',
  })
  @IsString()
  @MaxLength(MAX_URL)
  url!: string;

  @ApiProperty({
    type: [String],
    description: 'Types of events, or patterns: `dataset.*` matches one segment, `dataset.**` any.',
    example: ['dataset.version.created', 'dataset.branch.*'],
  })
  @IsArray()
  @ArrayMinSize(1)
  @ArrayMaxSize(MAX_TYPES)
  @IsString({ each: true })
  @MaxLength(MAX_TYPE, { each: true })
  types!: string[];

  @ApiPropertyOptional({
    type: String,
    maxLength: MAX_TEXT,
    description: 'Only events about this.',
    example: 'dataset/12',
  })
  @IfGiven()
  @IsString()
  @MaxLength(MAX_TEXT)
  subject?: string;

  @ApiPropertyOptional({ type: String, maxLength: MAX_TEXT, example: 'Tells the build server' })
  @IfGiven()
  @IsString()
  @MaxLength(MAX_TEXT)
  description?: string;
}

export class ChangeWebhookDto extends PartialType(
  PickType(CreateWebhookDto, ['description'] as const),
) {
  @ApiPropertyOptional({ format: 'uri', maxLength: MAX_URL })
  @IfGiven()
  @IsString()
  @MaxLength(MAX_URL)
  url?: string;

  @ApiPropertyOptional({ type: [String], example: ['dataset.**'] })
  @IfGiven()
  @IsArray()
  @ArrayMinSize(1)
  @ArrayMaxSize(MAX_TYPES)
  @IsString({ each: true })
  @MaxLength(MAX_TYPE, { each: true })
  types?: string[];

  @ApiPropertyOptional({
    type: Boolean,
    description: 'False stops it; true has it told again of what happens from then on.',
  })
  @IfGiven()
  @IsBoolean()
  enabled?: boolean;
}

/** A row of `webhooks`, as far as it is told. */
export interface WebhookRow {
  readonly id: number;
  readonly user_id: number;
  readonly url: string;
  readonly types: string[];
  readonly subject: string | null;
  readonly description: string;
  readonly created_at: Date;
  readonly failing_since: Date | null;
  readonly disabled_at: Date | null;
  readonly disabled_reason: string | null;
}

export class WebhookView {
  @ApiProperty({ type: 'integer', example: 3 })
  id!: number;

  @ApiProperty({ type: 'integer', description: 'Whose it is: told is what this user may read.' })
  userId!: number;

  @ApiProperty({ example: 'https://hooks.example.com/varve' })
  url!: string;

  @ApiProperty({ type: [String], example: ['dataset.version.created'] })
  types!: string[];

  @ApiProperty({ type: String, nullable: true, example: null })
  subject!: string | null;

  @ApiProperty({ example: '' })
  description!: string;

  @ApiProperty({ format: 'date-time' })
  createdAt!: string;

  @ApiProperty({
    type: String,
    format: 'date-time',
    nullable: true,
    description: 'Since when every attempt has failed.',
  })
  failingSince!: string | null;

  @ApiProperty({ type: String, format: 'date-time', nullable: true })
  disabledAt!: string | null;

  @ApiProperty({ type: String, nullable: true, example: null })
  disabledReason!: string | null;

  static of(this: void, row: WebhookRow): WebhookView {
    return {
      id: row.id,
      userId: row.user_id,
      url: row.url,
      types: row.types,
      subject: row.subject,
      description: row.description,
      createdAt: row.created_at.toISOString(),
      failingSince: row.failing_since?.toISOString() ?? null,
      disabledAt: row.disabled_at?.toISOString() ?? null,
      disabledReason: row.disabled_reason,
    };
  }
}

export class WebhookSecretView {
  @ApiProperty({
    description: 'Shown only this once. What each message is signed with.',
    example: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
  })
  secret!: string;
}

export class CreatedWebhookView extends WebhookView {
  @ApiProperty({
    description: 'Shown only this once. What each message is signed with.',
    example: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
  })
  secret!: string;
}

export const DELIVERY_STATES = ['pending', 'delivered', 'failed'] as const;

export class DeliveryQuery extends PageQuery {
  @ApiPropertyOptional({ enum: DELIVERY_STATES })
  @IsOptional()
  @IsIn(DELIVERY_STATES)
  state?: (typeof DELIVERY_STATES)[number];
}

/** A row of `webhook_deliveries`, as far as it is told. */
export interface DeliveryRow {
  readonly id: string;
  readonly event: DomainEvent;
  readonly state: (typeof DELIVERY_STATES)[number];
  readonly attempts: number;
  readonly due_at: Date;
  readonly last_status: number | null;
  readonly last_error: string | null;
  readonly created_at: Date;
  readonly ended_at: Date | null;
}

export class DeliveryView {
  @ApiProperty({ example: '42' })
  id!: string;

  @ApiProperty({ type: 'object', additionalProperties: true, description: 'What is sent.' })
  event!: DomainEvent;

  @ApiProperty({ enum: DELIVERY_STATES, example: 'delivered' })
  state!: (typeof DELIVERY_STATES)[number];

  @ApiProperty({ type: 'integer', example: 1 })
  attempts!: number;

  @ApiProperty({
    type: String,
    format: 'date-time',
    nullable: true,
    description: 'When it is tried next; null once it has ended.',
  })
  nextAttemptAt!: string | null;

  @ApiProperty({ type: 'integer', nullable: true, description: 'The last answer.', example: 200 })
  lastStatus!: number | null;

  @ApiProperty({ type: String, nullable: true, example: null })
  lastError!: string | null;

  @ApiProperty({ format: 'date-time' })
  createdAt!: string;

  @ApiProperty({ type: String, format: 'date-time', nullable: true })
  endedAt!: string | null;

  static of(this: void, row: DeliveryRow): DeliveryView {
    return {
      id: row.id,
      event: row.event,
      state: row.state,
      attempts: row.attempts,
      nextAttemptAt: row.state === 'pending' ? row.due_at.toISOString() : null,
      lastStatus: row.last_status,
      lastError: row.last_error,
      createdAt: row.created_at.toISOString(),
      endedAt: row.ended_at?.toISOString() ?? null,
    };
  }
}
