import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { Transform } from 'class-transformer';
import { IsDate, IsIn, IsInt, IsString, Length, Matches, Max, Min } from 'class-validator';
import { MAX_ID } from '../../core/ids.js';
import type { JsonObject } from '../../core/json.js';
import { PageQuery, toWholeNumber } from '../../platform/http/paging.js';
import { IfGiven } from '../users.dto.js';
import type { ChainCheck } from './audit-chain.js';
import type { AuditFilter, AuditRow } from './audit-log.js';

const RFC3339 = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d))?$/;

/** A day (from midnight, UTC) or a time; anything else becomes no valid date, which is refused. */
const toDate = ({ value }: { value: unknown }): Date =>
  new Date(typeof value === 'string' && RFC3339.test(value) ? value : NaN);

const NOT_A_TIME = { message: 'takes an RFC 3339 time such as 2026-03-01T12:00:00Z' };
const ID = { type: 'integer', minimum: 1, maximum: MAX_ID } as const;
const MOST_CHECKED = 1_000_000;

/** Which entries, for the list and the export alike. */
export class AuditQuery extends PageQuery implements AuditFilter {
  @ApiPropertyOptional({ ...ID, description: 'Who did it: the id of a user.' })
  @IfGiven()
  @Transform(toWholeNumber)
  @IsInt()
  @Min(1)
  @Max(MAX_ID)
  actorId?: number;

  @ApiPropertyOptional({ ...ID, description: 'The API key with which it was done.' })
  @IfGiven()
  @Transform(toWholeNumber)
  @IsInt()
  @Min(1)
  @Max(MAX_ID)
  keyId?: number;

  @ApiPropertyOptional({ minLength: 1, maxLength: 128, description: 'The request that did it.' })
  @IfGiven()
  @IsString()
  @Length(1, 128)
  requestId?: string;

  @ApiPropertyOptional({ ...ID, description: 'What was done to this dataset and what is in it.' })
  @IfGiven()
  @Transform(toWholeNumber)
  @IsInt()
  @Min(1)
  @Max(MAX_ID)
  datasetId?: number;

  @ApiPropertyOptional({ minLength: 1, maxLength: 100, example: 'permission' })
  @IfGiven()
  @IsString()
  @Length(1, 100)
  resourceType?: string;

  @ApiPropertyOptional({ minLength: 1, maxLength: 2000, example: '12' })
  @IfGiven()
  @IsString()
  @Length(1, 2000)
  resourceId?: string;

  @ApiPropertyOptional({
    description: 'What was done, or how that begins: `dataset.created`, `dataset.*`.',
    pattern: '^[a-z-]+(\\.[a-z-]+)*(\\.\\*)?$',
    maxLength: 100,
    example: 'dataset.*',
  })
  @IfGiven()
  @Length(1, 100)
  @Matches(/^[a-z-]+(\.[a-z-]+)*(\.\*)?$/, { message: 'takes an action such as dataset.created' })
  action?: string;

  @ApiPropertyOptional({ enum: ['done', 'refused'] })
  @IfGiven()
  @IsIn(['done', 'refused'])
  outcome?: 'done' | 'refused';

  @ApiPropertyOptional({ type: String, format: 'date-time', example: '2026-01-01T00:00:00Z' })
  @IfGiven()
  @Transform(toDate)
  @IsDate(NOT_A_TIME)
  since?: Date;

  @ApiPropertyOptional({ type: String, format: 'date-time', example: '2027-01-01T00:00:00Z' })
  @IfGiven()
  @Transform(toDate)
  @IsDate(NOT_A_TIME)
  until?: Date;
}

export class AuditExportQuery extends AuditQuery {
  @ApiPropertyOptional({ enum: ['ndjson', 'csv'], default: 'ndjson' })
  @IfGiven()
  @IsIn(['ndjson', 'csv'])
  format: 'ndjson' | 'csv' = 'ndjson';
}

export class AuditVerifyQuery {
  @ApiPropertyOptional({
    type: 'integer',
    minimum: 1,
    description: 'Goes on behind this entry, of which an earlier check has told the hash.',
    example: 1200,
  })
  @IfGiven()
  @Transform(toWholeNumber)
  @IsInt()
  @Min(1)
  @Max(Number.MAX_SAFE_INTEGER)
  afterSeq?: number;

  @ApiPropertyOptional({ pattern: '^[0-9a-f]{64}$', description: 'The hash of that entry.' })
  @IfGiven()
  @Matches(/^[0-9a-f]{64}$/, { message: 'takes 64 lower-case hexadecimal digits' })
  afterHash?: string;

  @ApiPropertyOptional({
    type: 'integer',
    minimum: 1,
    maximum: MOST_CHECKED,
    default: 100_000,
    description: 'How many entries are checked at the most.',
  })
  @IfGiven()
  @Transform(toWholeNumber)
  @IsInt()
  @Min(1)
  @Max(MOST_CHECKED)
  limit: number = 100_000;
}

const TEXT_OR_NULL = { type: String, nullable: true } as const;
const ID_OR_NULL = { ...ID, nullable: true } as const;
const JSON_OR_NULL = { type: 'object', additionalProperties: true, nullable: true } as const;

export class AuditEntryView {
  @ApiProperty({ example: '4711' })
  id!: string;

  @ApiProperty({ format: 'date-time', example: '2026-03-01T12:00:00.000Z' })
  at!: string;

  @ApiProperty({ ...ID_OR_NULL, description: 'Who; null for the server itself.', example: 2 })
  actorId!: number | null;

  @ApiProperty({ ...TEXT_OR_NULL, example: 'ada' })
  actorName!: string | null;

  @ApiProperty({ ...ID_OR_NULL, example: 7 })
  keyId!: number | null;

  @ApiProperty({ ...TEXT_OR_NULL, example: '0b5b2f0e-6f0c-4c0e-9a57-6a2f6f7d1c7e' })
  requestId!: string | null;

  @ApiProperty({ ...TEXT_OR_NULL, example: '192.0.2.7' })
  address!: string | null;

  @ApiProperty({ ...TEXT_OR_NULL, description: 'By which operation.', example: 'createDataset' })
  operation!: string | null;

  @ApiProperty({ enum: ['done', 'refused'], example: 'done' })
  outcome!: 'done' | 'refused';

  @ApiProperty({ example: 'dataset.created' })
  action!: string;

  @ApiProperty({ ...TEXT_OR_NULL, example: 'dataset' })
  resourceType!: string | null;

  @ApiProperty({ ...TEXT_OR_NULL, example: '12' })
  resourceId!: string | null;

  @ApiProperty({ ...ID_OR_NULL, example: 12 })
  datasetId!: number | null;

  @ApiProperty({
    ...JSON_OR_NULL,
    description: 'What it was before: all of what is gone, of a change what changed.',
    example: null,
  })
  before!: JsonObject | null;

  @ApiProperty({ ...JSON_OR_NULL, description: 'What it is now.', example: { name: 'weather' } })
  after!: JsonObject | null;

  @ApiProperty({
    type: 'integer',
    nullable: true,
    description: 'Its place in the chain, which it has within seconds.',
    example: 4700,
  })
  seq!: number | null;

  @ApiProperty({ ...TEXT_OR_NULL, description: 'SHA-256 of it and of `previousHash`.' })
  hash!: string | null;

  @ApiProperty({ ...TEXT_OR_NULL, description: 'The hash of the entry before it.' })
  previousHash!: string | null;

  static of(this: void, row: AuditRow): AuditEntryView {
    return { ...row, at: row.at.toISOString(), seq: row.seq === null ? null : Number(row.seq) };
  }
}

class ChainPlaceView {
  @ApiProperty({ type: 'integer', example: 4700 })
  seq!: number;

  @ApiProperty({ pattern: '^[0-9a-f]{64}$' })
  hash!: string;
}

class ChainBreakView {
  @ApiProperty({ type: 'integer', example: 12 })
  seq!: number;

  @ApiProperty({ example: 'it does not say what was written' })
  reason!: string;
}

export class AuditCheckView implements ChainCheck {
  @ApiProperty({ description: 'Whether all that was checked is as it was written.' })
  valid!: boolean;

  @ApiProperty({ type: 'integer', example: 4700 })
  checked!: number;

  @ApiProperty({
    type: ChainPlaceView,
    nullable: true,
    description: 'The last sound entry. Keep it elsewhere: a later check can start from it.',
  })
  last!: ChainPlaceView | null;

  @ApiProperty({ description: 'Whether the end of the chain was reached.' })
  complete!: boolean;

  @ApiProperty({ type: ChainBreakView, nullable: true, description: 'The first that is not.' })
  broken!: ChainBreakView | null;
}
