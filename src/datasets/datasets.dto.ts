import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { Transform } from 'class-transformer';
import { IsBoolean, IsDate, IsIn, IsOptional, IsString, Length, ValidateIf } from 'class-validator';
import type { JsonObject } from '../core/json.js';
import { AsGiven } from '../platform/http/as-given.js';
import { PageQuery } from '../platform/http/paging.js';
import type { NewDataset } from './datasets.repository.js';
import { DATASET_SORTS, type DatasetSort } from './dataset-list.js';
import {
  descriptionComplaint,
  MAX_DESCRIPTION_LENGTH,
  MAX_METADATA_BYTES,
  MAX_NAME_LENGTH,
  MAX_TAG_LENGTH,
  MAX_TAGS,
  metadataComplaint,
  nameComplaint,
  Obeys,
  tagsComplaint,
} from './dataset-rules.js';

/** Only where it is given at all; null is no way of leaving a property out. */
const IfGiven = () => ValidateIf((_, value: unknown) => value !== undefined);

const NAME = {
  description:
    'Unique among the living datasets of its owner. Compared as written: nothing is trimmed, folded or normalised.',
  minLength: 1,
  maxLength: MAX_NAME_LENGTH,
  example: 'sea-ice-extent',
};
const DESCRIPTION = {
  maxLength: MAX_DESCRIPTION_LENGTH,
  example: 'Daily extent of the polar sea ice since 1978.',
};
const METADATA = {
  description: `Any JSON object of up to ${MAX_METADATA_BYTES} bytes.`,
  type: 'object' as const,
  additionalProperties: true,
  example: { licence: 'CC-BY-4.0', source: 'NSIDC' },
};
const TAGS = {
  type: 'array' as const,
  items: { type: 'string' as const, minLength: 1, maxLength: MAX_TAG_LENGTH },
  maxItems: MAX_TAGS,
  example: ['climate', 'time-series'],
};

/** What a dataset is created with. */
export class CreateDatasetDto {
  @ApiProperty(NAME)
  @Obeys(nameComplaint)
  name!: string;

  @ApiPropertyOptional({ ...DESCRIPTION, default: '' })
  @IfGiven()
  @Obeys(descriptionComplaint)
  description?: string;

  @ApiPropertyOptional({ ...METADATA, default: {} })
  @AsGiven()
  @IfGiven()
  @Obeys(metadataComplaint)
  metadata?: JsonObject;

  @ApiPropertyOptional({ ...TAGS, default: [] })
  @IfGiven()
  @Obeys(tagsComplaint)
  tags?: string[];

  @ApiPropertyOptional({
    description: 'The branch that commits go to unless told otherwise.',
    minLength: 1,
    maxLength: 255,
    default: 'main',
    example: 'main',
  })
  @IfGiven()
  @IsString()
  @Length(1, 255)
  defaultBranch?: string;

  toNewDataset(): NewDataset {
    const { name, description = '', metadata = {}, tags = [], defaultBranch = 'main' } = this;
    return { name, description, metadata, tags, defaultBranch };
  }
}

/** A new dataset as a form, with the files of the first version. */
export class CreateDatasetForm {
  @ApiProperty(NAME)
  name!: string;

  @ApiPropertyOptional(DESCRIPTION)
  description?: string;

  @ApiPropertyOptional({
    type: String,
    description: 'A JSON object.',
    example: '{"source":"NSIDC"}',
  })
  metadata?: string;

  @ApiPropertyOptional({
    type: String,
    description: 'A JSON array of tags, or tags separated by commas.',
    example: 'climate,time-series',
  })
  tags?: string;

  @ApiPropertyOptional({ type: String, example: 'main' })
  defaultBranch?: string;

  @ApiPropertyOptional({
    type: String,
    description: "The first version's message.",
    example: 'First files',
  })
  message?: string;

  @ApiPropertyOptional({
    type: 'array',
    items: { type: 'string', format: 'binary' },
    description:
      'The first files. Each stands under its filename, folders included; the name of the field does not matter.',
  })
  file?: unknown[];
}

/** What of a dataset changes; what is left out stays. */
export class ChangeDatasetDto {
  @ApiPropertyOptional(NAME)
  @IfGiven()
  @Obeys(nameComplaint)
  name?: string;

  @ApiPropertyOptional(DESCRIPTION)
  @IfGiven()
  @Obeys(descriptionComplaint)
  description?: string;

  @ApiPropertyOptional({
    ...METADATA,
    description: `${METADATA.description} Replaces all of it.`,
  })
  @AsGiven()
  @IfGiven()
  @Obeys(metadataComplaint)
  metadata?: JsonObject;
}

const RFC3339 = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d))?$/;

/** A day (from midnight, UTC) or a time; anything else becomes no valid date, which is refused. */
const toDate = ({ value }: { value: unknown }): Date =>
  new Date(typeof value === 'string' && RFC3339.test(value) ? value : NaN);

const toList = ({ value }: { value: unknown }): unknown =>
  value === undefined || Array.isArray(value) ? value : [value];

const toBoolean = ({ value }: { value: unknown }): unknown =>
  value === 'true' ? true : value === 'false' ? false : value;

const NOT_A_TIME = { message: 'takes an RFC 3339 time such as 2026-03-01T12:00:00Z' };

/** Which datasets to list, and in which order. */
export class ListDatasetsQuery extends PageQuery {
  @ApiPropertyOptional({
    ...TAGS,
    example: ['climate'],
    description: 'A tag that the datasets have; given several times, each of them.',
  })
  @IsOptional()
  @Transform(toList)
  @Obeys(tagsComplaint)
  tag?: string[];

  @ApiPropertyOptional({ description: "The owner's name or id.", maxLength: 255, example: 'ada' })
  @IsOptional()
  @IsString()
  @Length(1, 255)
  owner?: string;

  @ApiPropertyOptional({ ...NAME, description: 'The whole name.' })
  @IsOptional()
  @Obeys(nameComplaint)
  name?: string;

  @ApiPropertyOptional({
    description: 'A part of the name or the description, in any case.',
    maxLength: 255,
    example: 'ice',
  })
  @IsOptional()
  @IsString()
  @Length(1, 255)
  q?: string;

  @ApiPropertyOptional({ type: String, format: 'date-time', example: '2026-01-01T00:00:00Z' })
  @IsOptional()
  @Transform(toDate)
  @IsDate(NOT_A_TIME)
  createdAfter?: Date;

  @ApiPropertyOptional({ type: String, format: 'date-time', example: '2027-01-01T00:00:00Z' })
  @IsOptional()
  @Transform(toDate)
  @IsDate(NOT_A_TIME)
  createdBefore?: Date;

  @ApiPropertyOptional({
    type: Boolean,
    default: false,
    description:
      'Lists deleted datasets that can be restored, instead of living ones: your own, or everybody’s for an administrator.',
  })
  @IsOptional()
  @Transform(toBoolean)
  @IsBoolean()
  deleted: boolean = false;

  @ApiPropertyOptional({ enum: DATASET_SORTS, default: '-createdAt', example: 'name' })
  @IsOptional()
  @IsIn(DATASET_SORTS)
  sort: DatasetSort = '-createdAt';
}

/** A dataset's name, and among whose datasets to look it up. */
export class ByNameQuery {
  @ApiProperty(NAME)
  @Obeys(nameComplaint)
  name!: string;

  @ApiPropertyOptional({
    description: "The owner's name or id; you, unless told otherwise.",
    minLength: 1,
    maxLength: 255,
    example: 'ada',
  })
  @IsOptional()
  @IsString()
  @Length(1, 255)
  owner?: string;
}

export class StatisticsQuery {
  @ApiPropertyOptional({
    description: 'A branch, a tag, a version’s number or its digest.',
    minLength: 1,
    maxLength: 255,
    example: '3',
  })
  @IsOptional()
  @IsString()
  @Length(1, 255)
  ref?: string;
}

export class ExportQuery {
  @ApiPropertyOptional({
    type: Boolean,
    default: false,
    description: 'Whether its versions are exported, too.',
  })
  @IsOptional()
  @Transform(toBoolean)
  @IsBoolean()
  versions: boolean = false;
}

export class ImportQuery {
  @ApiPropertyOptional({
    ...NAME,
    description: "The new dataset's name; the document's own without.",
  })
  @IsOptional()
  @Obeys(nameComplaint)
  name?: string;
}
