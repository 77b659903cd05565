import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { Transform, Type } from 'class-transformer';
import {
  ArrayMaxSize,
  IsArray,
  IsBoolean,
  IsIn,
  IsInt,
  IsOptional,
  IsString,
  Length,
  Max,
  Min,
  ValidateIf,
  ValidateNested,
} from 'class-validator';
import { MAX_ID } from '../core/ids.js';
import { PageQuery } from '../platform/http/paging.js';
import { MAX_MESSAGE_LENGTH } from './commits.js';
import { MAX_PATH_BYTES } from './graph/path.js';
import { MAX_REF_LENGTH } from './versions.dto.js';
import { FileEntryView, VersionView } from './versions.view.js';

const IfGiven = () => ValidateIf((_, value: unknown) => value !== undefined);
const SIDES = ['ours', 'theirs'] as const;
const REF = { minLength: 1, maxLength: MAX_REF_LENGTH };

export class ResolutionDto {
  @ApiProperty({ minLength: 1, maxLength: MAX_PATH_BYTES, example: 'README.md' })
  @IsString()
  @Length(1, MAX_PATH_BYTES)
  path!: string;

  @ApiPropertyOptional({ enum: SIDES, description: 'Either this or `fileId`.', example: 'theirs' })
  @IfGiven()
  @IsIn(SIDES)
  take?: 'ours' | 'theirs';

  @ApiPropertyOptional({
    type: 'integer',
    nullable: true,
    minimum: 1,
    maximum: MAX_ID,
    description: 'A file that you may read, or null to remove the path. Either this or `take`.',
    example: 31,
  })
  @IfGiven()
  @ValidateIf((_, value: unknown) => value !== null)
  @IsInt()
  @Min(1)
  @Max(MAX_ID)
  fileId?: number | null;
}

/** What merges, reverts and picks have in common. */
class ThreeWayDto {
  @ApiPropertyOptional({ type: [ResolutionDto], maxItems: 10_000 })
  @IfGiven()
  @IsArray()
  @ArrayMaxSize(10_000)
  @ValidateNested({ each: true })
  @Type(() => ResolutionDto)
  resolutions?: ResolutionDto[];

  @ApiPropertyOptional({
    enum: SIDES,
    description: 'What the conflicts without a resolution become.',
    example: 'theirs',
  })
  @IfGiven()
  @IsIn(SIDES)
  defaultResolution?: 'ours' | 'theirs';

  @ApiPropertyOptional({
    minLength: 1,
    maxLength: MAX_MESSAGE_LENGTH,
    example: 'Merge feature/a into main',
  })
  @IfGiven()
  @IsString()
  @Length(1, MAX_MESSAGE_LENGTH)
  message?: string;
}

export class MergeDto extends ThreeWayDto {
  @ApiProperty({
    ...REF,
    description: 'A ref to the version that is merged.',
    example: 'feature/a',
  })
  @IsString()
  @Length(1, MAX_REF_LENGTH)
  from!: string;

  @ApiProperty({ ...REF, description: 'The branch that it is merged into.', example: 'main' })
  @IsString()
  @Length(1, MAX_REF_LENGTH)
  into!: string;

  @ApiPropertyOptional({
    default: false,
    description: 'Only tell how it would go: 200 with every conflict, and nothing is changed.',
    example: true,
  })
  @IfGiven()
  @IsBoolean()
  dryRun?: boolean;
}

export class ReplayDto extends ThreeWayDto {
  @ApiProperty({ ...REF, description: 'A ref to the version.', example: '12' })
  @IsString()
  @Length(1, MAX_REF_LENGTH)
  version!: string;

  @ApiProperty({ ...REF, description: 'The branch that takes it.', example: 'main' })
  @IsString()
  @Length(1, MAX_REF_LENGTH)
  branch!: string;
}

export class ConflictView {
  @ApiProperty({ example: 'README.md' })
  path!: string;

  @ApiProperty({ type: 'integer', nullable: true, description: 'The file there.', example: 30 })
  base!: number | null;

  @ApiProperty({ type: 'integer', nullable: true, example: 31 })
  ours!: number | null;

  @ApiProperty({ type: 'integer', nullable: true, example: null })
  theirs!: number | null;
}

export class MergeView {
  @ApiProperty({ enum: ['up-to-date', 'fast-forward', 'merge'], example: 'merge' })
  kind!: 'up-to-date' | 'fast-forward' | 'merge';

  @ApiProperty({
    type: VersionView,
    nullable: true,
    description: 'The head of the branch afterwards; in a dry run, as it is.',
  })
  version!: VersionView | null;

  @ApiProperty({ type: 'integer', description: 'How many paths change.', example: 3 })
  changedPaths!: number;

  @ApiProperty({ type: [ConflictView], description: 'Only a dry run has any.' })
  conflicts!: ConflictView[];
}

const COMPARE_MODES = ['three-dot', 'two-dot'] as const;

export class CompareQuery extends PageQuery {
  @ApiProperty({ ...REF, example: 'main' })
  @IsString()
  @Length(1, MAX_REF_LENGTH)
  base!: string;

  @ApiProperty({ ...REF, example: 'feature/a' })
  @IsString()
  @Length(1, MAX_REF_LENGTH)
  head!: string;

  @ApiPropertyOptional({
    enum: COMPARE_MODES,
    default: 'three-dot',
    description:
      '`two-dot` compares the two versions; `three-dot` compares the head with where it left the base, so that only what the head changed is told.',
  })
  @IsOptional()
  @Transform(({ value }: { value: unknown }) => value ?? 'three-dot')
  @IsIn(COMPARE_MODES)
  mode: (typeof COMPARE_MODES)[number] = 'three-dot';
}

export class DifferenceView {
  @ApiProperty({ enum: ['added', 'removed', 'changed', 'moved'], example: 'changed' })
  kind!: 'added' | 'removed' | 'changed' | 'moved';

  @ApiProperty({ example: 'README.md' })
  path!: string;

  @ApiProperty({
    type: String,
    nullable: true,
    description: 'Where a moved file was.',
    example: null,
  })
  from!: string | null;

  @ApiProperty({ type: FileEntryView, nullable: true })
  before!: FileEntryView | null;

  @ApiProperty({ type: FileEntryView, nullable: true })
  after!: FileEntryView | null;
}
