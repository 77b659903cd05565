import { ApiProperty } from '@nestjs/swagger';
import {
  ArrayMaxSize,
  IsArray,
  IsInt,
  IsString,
  Length,
  Max,
  MaxLength,
  Min,
  Validate,
  ValidateIf,
  type ValidatorConstraintInterface,
  ValidatorConstraint,
} from 'class-validator';
import { pathComplaint } from './graph/path.js';

const NotNull = () => ValidateIf((_, value: unknown) => value !== null);
const LIMIT = {
  type: 'integer' as const,
  nullable: true,
  minimum: 0,
  maximum: Number.MAX_SAFE_INTEGER,
};

@ValidatorConstraint({ name: 'isPath' })
class IsPath implements ValidatorConstraintInterface {
  validate(value: unknown): boolean {
    return pathComplaint(value) === null;
  }

  defaultMessage(): string {
    return 'must be paths that can stand in a version';
  }
}

/** What a dataset demands of its versions; null and empty lists demand nothing. */
export class CheckRulesDto {
  @ApiProperty({ ...LIMIT, description: 'The largest file, in bytes.', example: 1073741824 })
  @NotNull()
  @IsInt()
  @Min(0)
  @Max(Number.MAX_SAFE_INTEGER)
  maximumFileBytes!: number | null;

  @ApiProperty({ ...LIMIT, description: 'The largest version, in bytes.', example: null })
  @NotNull()
  @IsInt()
  @Min(0)
  @Max(Number.MAX_SAFE_INTEGER)
  maximumTotalBytes!: number | null;

  @ApiProperty({
    type: [String],
    description: 'Types as files have them, such as `csv`; `unknown` for those without one.',
    example: ['csv', 'parquet', 'md'],
  })
  @IsArray()
  @ArrayMaxSize(100)
  @IsString({ each: true })
  @Length(1, 64, { each: true })
  allowedFileTypes!: string[];

  @ApiProperty({
    type: [String],
    description: 'Paths that every version has.',
    example: ['README.md'],
  })
  @IsArray()
  @ArrayMaxSize(100)
  @Validate(IsPath, { each: true })
  requiredPaths!: string[];

  @ApiProperty({
    type: [String],
    description:
      'One of them must fit each path that is put: `*` is any text within a segment, `**` any text, `?` one character.',
    example: ['*.md', 'measurements/**.csv'],
  })
  @IsArray()
  @ArrayMaxSize(100)
  @IsString({ each: true })
  @MaxLength(255, { each: true })
  allowedPathPatterns!: string[];
}
