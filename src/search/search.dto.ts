import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { Transform } from 'class-transformer';
import {
  ArrayMaxSize,
  IsDate,
  IsIn,
  IsInt,
  IsOptional,
  IsString,
  Length,
  Max,
  MaxLength,
  Min,
} from 'class-validator';
import { toWholeNumber } from '../platform/http/paging.js';
import { SEARCH_SORTS, type SearchSort } from './dataset-search/search-filter.js';

/** A page of results: what somebody looks through, not what a program fetches. */
const MAX_RESULTS = 100;
const MOST_VALUES = 20;

const RFC3339 = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d))?$/;

/** A day (from midnight, UTC) or a time; anything else becomes no valid date, which is refused. */
const toDate = ({ value }: { value: unknown }): Date =>
  new Date(typeof value === 'string' && RFC3339.test(value) ? value : NaN);

const toList = ({ value }: { value: unknown }): unknown =>
  value === undefined || Array.isArray(value) ? value : [value];

const NOT_A_TIME = { message: 'takes an RFC 3339 time such as 2026-03-01T12:00:00Z' };

const Time = (description: string) => (target: object, property: string) => {
  ApiPropertyOptional({
    type: String,
    format: 'date-time',
    description,
    example: '2026-01-01T00:00:00Z',
  })(target, property);
  IsOptional()(target, property);
  Transform(toDate)(target, property);
  IsDate(NOT_A_TIME)(target, property);
};

const Size = (description: string) => (target: object, property: string) => {
  ApiPropertyOptional({ type: 'integer', minimum: 0, description, example: 1048576 })(
    target,
    property,
  );
  IsOptional()(target, property);
  Transform(toWholeNumber)(target, property);
  IsInt()(target, property);
  Min(0)(target, property);
  Max(Number.MAX_SAFE_INTEGER)(target, property);
};

const Values =
  (description: string, longest: number, example: string[]) =>
  (target: object, property: string) => {
    ApiPropertyOptional({
      type: 'array',
      items: { type: 'string', minLength: 1, maxLength: longest },
      maxItems: MOST_VALUES,
      description,
      example,
    })(target, property);
    IsOptional()(target, property);
    Transform(toList)(target, property);
    ArrayMaxSize(MOST_VALUES)(target, property);
    IsString({ each: true })(target, property);
    Length(1, longest, { each: true })(target, property);
  };

/** Which datasets to find. */
export class SearchDatasetsQuery {
  @ApiPropertyOptional({
    description:
      'Words that must all be there, in any order and in any of: name, tags, description, metadata, ' +
      'and, of the head of the default branch, paths, column names and README. `"words in a row"`, ' +
      '`-without` and `begin*` work. Where few datasets have the words, those are found as well that ' +
      'have words a typing error away. Without it, every dataset that the filters let through.',
    maxLength: 500,
    example: 'sea ice extent',
  })
  @IsOptional()
  @IsString()
  @MaxLength(500)
  q?: string;

  @Values('A tag that the datasets have; given several times, each of them.', 64, ['climate'])
  tag?: string[];

  @Values('A type of file that the datasets have; given several times, one of them.', 64, ['csv'])
  fileType?: string[];

  @ApiPropertyOptional({ description: "The owner's name or id.", maxLength: 255, example: 'ada' })
  @IsOptional()
  @IsString()
  @Length(1, 255)
  owner?: string;

  @Size('The least size of all files of the head, in bytes.')
  minSizeBytes?: number;

  @Size('The greatest size of all files of the head, in bytes.')
  maxSizeBytes?: number;

  @Time('Created after this time.')
  createdAfter?: Date;

  @Time('Created before this time.')
  createdBefore?: Date;

  @Time('Changed after this time.')
  updatedAfter?: Date;

  @Time('Changed before this time.')
  updatedBefore?: Date;

  @ApiPropertyOptional({
    enum: SEARCH_SORTS,
    default: 'relevance',
    description: 'Relevance orders by the latest change where no words are looked for.',
    example: 'relevance',
  })
  @IsOptional()
  @IsIn(SEARCH_SORTS)
  sort: SearchSort = 'relevance';

  @ApiPropertyOptional({
    description: 'How many datasets a page holds at the most.',
    type: 'integer',
    minimum: 1,
    maximum: MAX_RESULTS,
    default: 20,
  })
  @IsOptional()
  @Transform(toWholeNumber)
  @IsInt()
  @Min(1)
  @Max(MAX_RESULTS)
  limit: number = 20;

  @ApiPropertyOptional({
    description: '`nextCursor` of the page before. Opaque: send back what you were given.',
    type: 'string',
    maxLength: 8192,
  })
  @IsOptional()
  @IsString()
  @MaxLength(8192)
  cursor?: string;
}

/** What somebody has typed so far. */
export class SuggestQuery {
  @ApiProperty({
    description: 'The beginning of a name or a tag, or something like it.',
    minLength: 1,
    maxLength: 100,
    example: 'sea-i',
  })
  @IsString()
  @Length(1, 100)
  q!: string;

  @ApiPropertyOptional({ type: 'integer', minimum: 1, maximum: 50, default: 10 })
  @IsOptional()
  @Transform(toWholeNumber)
  @IsInt()
  @Min(1)
  @Max(50)
  limit: number = 10;
}
