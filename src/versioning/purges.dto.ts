import { ApiProperty } from '@nestjs/swagger';
import { IsString, Length, Matches } from 'class-validator';
import type { Purge } from './purges.js';

const REASON = {
  minLength: 1,
  maxLength: 2000,
  description: 'Shown to whoever asks for the content, and kept.',
  example: 'Personal data; erasure request 2026-114',
};
const SHA256 = {
  pattern: '^[0-9a-f]{64}$',
  example: 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
};

export class LiftPurgeDto {
  @ApiProperty(REASON)
  @IsString()
  @Length(1, 2000)
  @Matches(/\S/, { message: 'must say something' })
  reason!: string;
}

export class PurgeDto extends LiftPurgeDto {
  @ApiProperty({ ...SHA256, description: 'The content that goes.' })
  @Matches(/^[0-9a-f]{64}$/, { message: 'takes 64 lower-case hexadecimal digits' })
  sha256!: string;
}

export class PurgeView {
  @ApiProperty({ type: 'integer', minimum: 1, example: 3 })
  id!: number;

  @ApiProperty({ type: 'integer', minimum: 1, example: 12 })
  datasetId!: number;

  @ApiProperty(SHA256)
  sha256!: string;

  @ApiProperty({ type: 'integer', example: 48210 })
  sizeBytes!: number;

  @ApiProperty(REASON)
  reason!: string;

  @ApiProperty({
    type: 'integer',
    description: 'In how many places of overlays and drafts it stood.',
    example: 4,
  })
  entries!: number;

  @ApiProperty({ type: 'integer', description: 'Who did it.', example: 2 })
  purgedBy!: number;

  @ApiProperty({ format: 'date-time', example: '2026-11-20T12:00:00.000Z' })
  purgedAt!: string;

  @ApiProperty({ type: 'integer', nullable: true, example: null })
  liftedBy!: number | null;

  @ApiProperty({
    type: String,
    format: 'date-time',
    nullable: true,
    description: 'Since when the content may be added again.',
    example: null,
  })
  liftedAt!: string | null;

  @ApiProperty({ type: String, nullable: true, example: null })
  liftReason!: string | null;

  static of(this: void, purge: Purge): PurgeView {
    return {
      ...purge,
      purgedAt: purge.purgedAt.toISOString(),
      liftedAt: purge.liftedAt?.toISOString() ?? null,
    };
  }
}
