import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsBoolean, IsOptional } from 'class-validator';
import { pageOf } from '../../platform/http/paging.js';
import {
  REASONS,
  type Candidate,
  type CandidateTotals,
  type Reason,
} from './collection-preview.js';

export class CollectGarbageDto {
  @ApiPropertyOptional({
    description: 'Only tell what would be deleted now, a page at a time.',
    default: false,
    example: true,
  })
  @IsOptional()
  @IsBoolean()
  dryRun: boolean = false;
}

export class GarbageView {
  @ApiProperty({
    type: 'integer',
    nullable: true,
    description: 'Null for an object that no file names.',
    example: 12,
  })
  fileId!: number | null;

  @ApiProperty({
    type: String,
    nullable: true,
    description: 'Null where it is not known, as for a broken upload.',
    example: 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  })
  sha256!: string | null;

  @ApiProperty({
    description: 'Where the bytes lie in the storage.',
    example: 'artifacts/e3/b0/e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  })
  path!: string;

  @ApiProperty({ type: 'integer', minimum: 0, example: 1048576 })
  sizeBytes!: number;

  @ApiProperty({ enum: REASONS, example: 'unreferenced' })
  reason!: Reason;

  @ApiProperty({
    format: 'date-time',
    description: 'Since when the reason holds.',
    example: '2026-03-01T12:00:00.000Z',
  })
  since!: string;

  static of(this: void, candidate: Candidate): GarbageView {
    return { ...candidate, since: candidate.since.toISOString() };
  }
}

export class GarbageTotalsView implements CandidateTotals {
  @ApiProperty({ type: 'integer', minimum: 0, example: 3 })
  files!: number;

  @ApiProperty({ type: 'integer', minimum: 0, description: 'Without the files’ own.', example: 1 })
  objects!: number;

  @ApiProperty({ type: 'integer', minimum: 0, description: 'What it would free.', example: 4096 })
  sizeBytes!: number;
}

export class GarbagePage extends pageOf(GarbageView) {
  @ApiProperty({
    type: GarbageTotalsView,
    nullable: true,
    description: 'What all pages come to; on the first page only.',
  })
  totals!: GarbageTotalsView | null;
}
