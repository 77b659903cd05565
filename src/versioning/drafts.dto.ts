import { ApiExtraModels, ApiProperty, ApiPropertyOptional, getSchemaPath } from '@nestjs/swagger';
import { Transform } from 'class-transformer';
import {
  Allow,
  ArrayMaxSize,
  ArrayMinSize,
  IsArray,
  IsBoolean,
  IsString,
  Length,
  ValidateIf,
} from 'class-validator';
import { MAX_ID } from '../core/ids.js';
import { MAX_MESSAGE_LENGTH } from './commits.js';
import type { Draft } from './drafts.js';
import { MAX_PATH_BYTES } from './graph/path.js';
import { MoveOperation, PutOperation, RemoveOperation } from './operation-input.js';
import { IsPointerName, MAX_REF_LENGTH, POINTER_NAME } from './versions.dto.js';

const IfGiven = () => ValidateIf((_, value: unknown) => value !== undefined);

export class OpenDraftDto {
  @ApiPropertyOptional({
    minLength: 1,
    maxLength: MAX_REF_LENGTH,
    description: 'A ref to the version that it starts from; the default branch unless told.',
    example: 'main',
  })
  @IfGiven()
  @IsString()
  @Length(1, MAX_REF_LENGTH)
  from?: string;

  @ApiPropertyOptional({
    ...POINTER_NAME,
    description:
      'The branch that it is to be committed to; `from` where that is a branch, else the default branch, unless told.',
    example: 'main',
  })
  @IfGiven()
  @IsPointerName()
  branch?: string;
}

@ApiExtraModels(PutOperation, RemoveOperation, MoveOperation)
export class OperationsDto {
  @ApiProperty({
    type: 'array',
    minItems: 1,
    items: {
      oneOf: [PutOperation, RemoveOperation, MoveOperation].map((operation) => ({
        $ref: getSchemaPath(operation),
      })),
    },
    description: 'Applied one after the other, all of them or none.',
  })
  @Allow()
  operations!: unknown;
}

/** Files for a draft, sent as a form. */
export class DraftUpload {
  @ApiPropertyOptional({
    description: 'Operations as a JSON list, applied before the files are put.',
    example: '[{"op":"remove","path":"old.csv"}]',
  })
  operations?: string;

  @ApiPropertyOptional({
    type: 'array',
    items: { type: 'string', format: 'binary' },
    description: 'Each part’s filename is the path that it is put at.',
  })
  file?: unknown[];
}

const asList = ({ value }: { value: unknown }): unknown =>
  typeof value === 'string' ? [value] : value;

export class PathsQuery {
  @ApiProperty({
    type: [String],
    minItems: 1,
    maxItems: 1000,
    description: 'Repeated for several paths.',
    example: ['old.csv'],
  })
  @Transform(asList)
  @IsArray()
  @ArrayMinSize(1)
  @ArrayMaxSize(1000)
  @IsString({ each: true })
  @Length(1, MAX_PATH_BYTES, { each: true })
  path!: string[];
}

export class CommitDraftDto {
  @ApiProperty({ minLength: 1, maxLength: MAX_MESSAGE_LENGTH, example: 'Add November' })
  @IsString()
  @Length(1, MAX_MESSAGE_LENGTH)
  message!: string;

  @ApiPropertyOptional({
    default: false,
    description: 'Carry the draft over to a branch that has moved on, where nothing conflicts.',
    example: true,
  })
  @IfGiven()
  @IsBoolean()
  rebase?: boolean;
}

export class DraftView {
  @ApiProperty({
    type: 'integer',
    minimum: 1,
    maximum: MAX_ID,
    description: '`draft:{id}` is its ref.',
    example: 57,
  })
  id!: number;

  @ApiProperty({ type: 'integer', example: 12 })
  datasetId!: number;

  @ApiProperty({ description: 'The branch that it is to be committed to.', example: 'main' })
  branch!: string;

  @ApiProperty({
    type: 'integer',
    nullable: true,
    description: 'The version that it starts from; null for an empty branch.',
    example: 41,
  })
  parentId!: number | null;

  @ApiProperty({ type: 'integer', example: 2 })
  createdBy!: number;

  @ApiProperty({ format: 'date-time', example: '2026-11-20T12:00:00.000Z' })
  createdAt!: string;

  @ApiProperty({ format: 'date-time', example: '2026-11-20T12:00:00.000Z' })
  touchedAt!: string;

  @ApiProperty({ type: 'integer', example: 1204 })
  fileCount!: number;

  @ApiProperty({ type: 'integer', example: 73400320 })
  totalSizeBytes!: number;

  static of(this: void, draft: Draft): DraftView {
    return {
      ...draft,
      createdAt: draft.createdAt.toISOString(),
      touchedAt: draft.touchedAt.toISOString(),
    };
  }
}
