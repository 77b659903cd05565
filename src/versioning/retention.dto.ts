import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { Type } from 'class-transformer';
import {
  IsBoolean,
  IsInt,
  IsString,
  Matches,
  Max,
  Min,
  ValidateIf,
  ValidateNested,
} from 'class-validator';
import ms from 'ms';
import type { RetentionRules, StoredRules } from './retention.js';

const IfGiven = () => ValidateIf((_, value: unknown) => value !== undefined);

const KEEP_LAST = { type: 'integer' as const, minimum: 1, maximum: 1_000_000 };
const DURATION = /^[1-9]\d{0,4}[smhd]$/;

export class RetentionRulesDto {
  @ApiProperty({
    ...KEEP_LAST,
    description: 'How many versions are kept on each branch, its head included.',
    example: 20,
  })
  @IsInt()
  @Min(KEEP_LAST.minimum)
  @Max(KEEP_LAST.maximum)
  keepLast!: number;

  @ApiPropertyOptional({
    type: String,
    nullable: true,
    pattern: DURATION.source,
    description: 'Every version that is younger than this is kept as well, such as `30d`.',
    example: '30d',
  })
  @ValidateIf((_, value: unknown) => value !== undefined && value !== null)
  @IsString()
  @Matches(DURATION, { message: 'takes a duration such as 12h or 30d' })
  keepYoungerThan?: string | null;

  static toRules(this: void, { keepLast, keepYoungerThan }: RetentionRulesDto): RetentionRules {
    const text = keepYoungerThan ?? null;
    return {
      keepLast,
      keepYoungerThan: text,
      keepYoungerThanMs: text === null ? null : ms(text as ms.StringValue),
    };
  }
}

export class RetentionRunDto {
  @ApiPropertyOptional({
    default: false,
    description: 'Only tell what would go: versions, paths and bytes.',
    example: true,
  })
  @IfGiven()
  @IsBoolean()
  dryRun?: boolean;

  @ApiPropertyOptional({
    type: RetentionRulesDto,
    description: 'Rules to try in a dry run; the dataset’s own unless given.',
  })
  @IfGiven()
  @ValidateNested()
  @Type(() => RetentionRulesDto)
  rules?: RetentionRulesDto;
}

export class RetentionView {
  @ApiProperty({
    type: 'integer',
    nullable: true,
    description: 'Null where there are no rules: every version is kept.',
    example: 20,
  })
  keepLast!: number | null;

  @ApiProperty({ type: String, nullable: true, example: '30d' })
  keepYoungerThan!: string | null;

  @ApiProperty({ type: 'integer', nullable: true, description: 'Who set them.', example: 2 })
  setBy!: number | null;

  @ApiProperty({
    type: String,
    format: 'date-time',
    nullable: true,
    example: '2026-11-20T12:00:00.000Z',
  })
  setAt!: string | null;

  static of(this: void, rules: StoredRules | null): RetentionView {
    return {
      keepLast: rules?.keepLast ?? null,
      keepYoungerThan: rules?.keepYoungerThan ?? null,
      setBy: rules?.setBy ?? null,
      setAt: rules?.setAt.toISOString() ?? null,
    };
  }
}
