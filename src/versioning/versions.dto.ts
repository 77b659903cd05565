import { ApiExtraModels, ApiProperty, ApiPropertyOptional, getSchemaPath } from '@nestjs/swagger';
import {
  Allow,
  IsIn,
  IsOptional,
  IsString,
  Length,
  MaxLength,
  ValidateBy,
  ValidateIf,
} from 'class-validator';
import { MAX_ID } from '../core/ids.js';
import { AsGiven } from '../platform/http/as-given.js';
import { PageQuery } from '../platform/http/paging.js';
import { MAX_MESSAGE_LENGTH } from './commits.js';
import { MAX_PATH_BYTES } from './graph/path.js';
import { pointerNameComplaint } from './graph/ref.js';
import { MoveOperation, PutOperation, RemoveOperation } from './operation-input.js';

/** The longest ref: a name of 255 bytes, and how far to go back. */
export const MAX_REF_LENGTH = 300;

/** Only where it is given at all; null is no way of leaving a property out. */
const IfGiven = () => ValidateIf((_, value: unknown) => value !== undefined);

/** Holds a property to the rules for names of branches and tags. */
export function IsPointerName(): PropertyDecorator {
  return ValidateBy({
    name: 'isPointerName',
    validator: {
      validate: (value) => pointerNameComplaint(value) === null,
      defaultMessage: (where) => pointerNameComplaint(where?.value) ?? '',
    },
  });
}

export const POINTER_NAME = {
  minLength: 1,
  maxLength: 255,
  description:
    'As git-check-ref-format allows; never all digits nor 64 hexadecimal digits, which name versions.',
};

/** What a commit is, besides its contents. */
export class CommitForm {
  @ApiPropertyOptional({
    ...POINTER_NAME,
    description: 'The branch to commit to; the default branch unless told.',
    example: 'main',
  })
  @IfGiven()
  @IsPointerName()
  branch?: string;

  @ApiProperty({
    minLength: 1,
    maxLength: MAX_MESSAGE_LENGTH,
    example: 'Add the measurements of November',
  })
  @IsString()
  @Length(1, MAX_MESSAGE_LENGTH)
  message!: string;

  @ApiPropertyOptional({
    oneOf: [
      { type: 'string', minLength: 1, maxLength: MAX_REF_LENGTH },
      { type: 'integer', minimum: 1, maximum: MAX_ID },
      { type: 'null' },
    ],
    description:
      'The version that you built on, as a number, digest or other ref; null for an empty branch. 412 when the branch’s head is another one.',
    example: '2',
  })
  @IfGiven()
  @ValidateIf((_, value: unknown) => value !== null)
  @ValidateBy({
    name: 'isRef',
    validator: {
      validate: (value) =>
        typeof value === 'string'
          ? value.length >= 1 && value.length <= MAX_REF_LENGTH
          : Number.isInteger(value) && Number(value) >= 1 && Number(value) <= MAX_ID,
      defaultMessage: () => 'takes a ref, or null for an empty branch',
    },
  })
  parent?: string | number | null;

  @ApiPropertyOptional({
    ...POINTER_NAME,
    description: 'A tag to be made of the new version in the same transaction.',
    example: 'v1.2',
  })
  @IfGiven()
  @IsPointerName()
  versionTag?: string;
}

@ApiExtraModels(PutOperation, RemoveOperation, MoveOperation)
export class CommitDto extends CommitForm {
  @AsGiven()
  @ApiProperty({
    type: 'array',
    minItems: 1,
    items: {
      oneOf: [PutOperation, RemoveOperation, MoveOperation].map((operation) => ({
        $ref: getSchemaPath(operation),
      })),
    },
    description: 'Applied one after the other.',
  })
  @Allow()
  operations!: unknown;
}

/** A commit sent as a form with the files themselves. */
export class CommitUpload extends CommitForm {
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

export class VersionLogQuery extends PageQuery {
  @ApiPropertyOptional({
    maxLength: MAX_REF_LENGTH,
    description: 'Only what led to this version; without it, every version of the dataset.',
    example: 'main',
  })
  @IfGiven()
  @IsString()
  @Length(1, MAX_REF_LENGTH)
  ref?: string;

  @ApiPropertyOptional({
    maxLength: MAX_PATH_BYTES,
    description: 'Only versions that changed this path, on the ref’s line of first parents.',
    example: 'README.md',
  })
  @IfGiven()
  @IsString()
  @MaxLength(MAX_PATH_BYTES)
  path?: string;
}

export class FilesQuery extends PageQuery {
  @ApiPropertyOptional({
    maxLength: MAX_PATH_BYTES,
    description: 'Only paths that begin with this.',
    example: 'measurements/',
  })
  @IfGiven()
  @IsString()
  @MaxLength(MAX_PATH_BYTES)
  prefix?: string;

  @ApiPropertyOptional({
    minLength: 1,
    maxLength: 16,
    description: 'Paths that have it after the prefix are told as one common prefix up to there.',
    example: '/',
  })
  @IfGiven()
  @IsString()
  @Length(1, 16)
  delimiter?: string;
}

export class PathQuery {
  @ApiProperty({
    minLength: 1,
    maxLength: MAX_PATH_BYTES,
    example: 'measurements/2026/sea-ice.csv',
  })
  @IsString()
  @Length(1, MAX_PATH_BYTES)
  path!: string;
}

export const ARCHIVE_FORMATS = ['tar', 'zip'] as const;
export type ArchiveFormat = (typeof ARCHIVE_FORMATS)[number];

export class ArchiveQuery {
  @ApiPropertyOptional({ enum: ARCHIVE_FORMATS, default: 'tar' })
  @IsOptional()
  @IsIn(ARCHIVE_FORMATS)
  format: ArchiveFormat = 'tar';

  @ApiPropertyOptional({
    maxLength: MAX_PATH_BYTES,
    description: 'Only paths that begin with this.',
    example: 'measurements/',
  })
  @IfGiven()
  @IsString()
  @MaxLength(MAX_PATH_BYTES)
  prefix?: string;
}
