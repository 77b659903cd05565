import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsIn, IsOptional, IsString, Length, MaxLength } from 'class-validator';
import { PageQuery } from '../platform/http/paging.js';
import { OUTPUT_FORMATS, type OutputFormat } from './engine/output.js';

const PATH = {
  minLength: 1,
  maxLength: 1024,
  example: 'measurements/2026/sea-ice.csv',
};
const SHEET = {
  type: String,
  minLength: 1,
  maxLength: 255,
  description:
    'Of an Excel workbook: the sheet; the first one unless told. Other files have none to ask for.',
};

/** Names a table. */
export class TableQuery {
  @ApiProperty(PATH)
  @IsString()
  @Length(1, 1024)
  path!: string;

  @ApiPropertyOptional(SHEET)
  @IsOptional()
  @IsString()
  @Length(1, 255)
  sheet?: string;
}

/** Asks for rows of a table. */
export class RowsQuery extends PageQuery {
  @ApiProperty(PATH)
  @IsString()
  @Length(1, 1024)
  path!: string;

  @ApiPropertyOptional(SHEET)
  @IsOptional()
  @IsString()
  @Length(1, 255)
  sheet?: string;

  @ApiPropertyOptional({
    type: String,
    maxLength: 8192,
    description:
      'The columns, divided by commas; all unless told. A name with a comma, a colon or a quote in it stands in double quotes.',
    example: 'Date,"Temp. (max)"',
  })
  @IsOptional()
  @IsString()
  @MaxLength(8192)
  columns?: string;

  @ApiPropertyOptional({
    type: String,
    maxLength: 8192,
    description:
      "A condition on rows: comparisons of a column with a number, a 'text', true or false by =, !=, <, <=, >, >=; `in (…)`, `is null`, `contains`, `startsWith`, `endsWith`; joined by and, or, not and parentheses.",
    example: "price > 100 and symbol in ('AAPL', 'IBM')",
  })
  @IsOptional()
  @IsString()
  @MaxLength(8192)
  where?: string;

  @ApiPropertyOptional({
    type: String,
    maxLength: 8192,
    description: 'Columns to sort by, each with `:asc` or `:desc`; nulls come last.',
    example: 'price:desc,symbol',
  })
  @IsOptional()
  @IsString()
  @MaxLength(8192)
  orderBy?: string;
}

/** A SELECT over the tables of a version. */
export class QueryDto {
  @ApiProperty({
    minLength: 1,
    maxLength: 100_000,
    description:
      'One SELECT in DuckDB’s dialect. Tables are files of the version, named by their paths in double quotes; a sheet of a workbook is `"path#sheet"`.',
    example: 'SELECT symbol, avg(price) AS mean FROM "stocks.csv" GROUP BY symbol',
  })
  @IsString()
  @Length(1, 100_000)
  sql!: string;

  @ApiPropertyOptional({ enum: OUTPUT_FORMATS, default: 'json' })
  @IsOptional()
  @IsIn(OUTPUT_FORMATS)
  format: OutputFormat = 'json';
}
