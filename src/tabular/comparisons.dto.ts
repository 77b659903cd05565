import { ApiProperty, ApiPropertyOptional, getSchemaPath } from '@nestjs/swagger';
import { IsOptional, IsString, Length } from 'class-validator';
import type { JsonObject } from '../core/json.js';
import { PageQuery } from '../platform/http/paging.js';
import { TableColumnView } from './tables.view.js';

/** Asks for what differs between two versions of a table. */
export class CompareRowsQuery extends PageQuery {
  @ApiProperty({ type: String, minLength: 1, maxLength: 300, example: '1' })
  @IsString()
  @Length(1, 300)
  base!: string;

  @ApiProperty({ type: String, minLength: 1, maxLength: 300, example: 'main' })
  @IsString()
  @Length(1, 300)
  head!: string;

  @ApiProperty({ minLength: 1, maxLength: 1024, example: 'measurements/2026/sea-ice.csv' })
  @IsString()
  @Length(1, 1024)
  path!: string;

  @ApiProperty({
    minLength: 1,
    maxLength: 8192,
    description:
      'The columns that tell rows apart, divided by commas, ten at the most. A name with a comma, a colon or a quote in it stands in double quotes. A null is a key like any other.',
    example: 'Date,station',
  })
  @IsString()
  @Length(1, 8192)
  key!: string;

  @ApiPropertyOptional({ type: String, minLength: 1, maxLength: 255 })
  @IsOptional()
  @IsString()
  @Length(1, 255)
  sheet?: string;
}

/** What a cell may hold. */
const CELL = {
  oneOf: [
    { type: 'string' },
    { type: 'number' },
    { type: 'boolean' },
    { type: 'object', additionalProperties: true },
    { type: 'array', items: {} },
    { type: 'null' },
  ],
};

export class ChangedCellView {
  @ApiProperty({ example: 'price' })
  column!: string;

  @ApiProperty({ ...CELL, description: 'As in rows.', example: 39.81 })
  before!: unknown;

  @ApiProperty({ ...CELL, example: 41.05 })
  after!: unknown;
}

/** A row that one of the versions has, or that both have with other values. */
export class RowChangeView {
  @ApiProperty({ enum: ['added', 'removed', 'changed'], example: 'changed' })
  change!: string;

  @ApiProperty({ type: 'object', additionalProperties: true, example: { Date: '2026-01-02' } })
  key!: JsonObject;

  @ApiProperty({
    type: 'object',
    additionalProperties: true,
    nullable: true,
    description: 'The whole row, where it was added or removed.',
    example: null,
  })
  row!: JsonObject | null;

  @ApiProperty({
    type: 'array',
    items: { $ref: getSchemaPath(ChangedCellView) },
    nullable: true,
    description: 'Which values changed, of a row that both versions have.',
  })
  cells!: ChangedCellView[] | null;
}

export class RowCountsView {
  @ApiProperty({ type: 'integer', minimum: 0, example: 12 })
  added!: number;

  @ApiProperty({ type: 'integer', minimum: 0, example: 0 })
  removed!: number;

  @ApiProperty({ type: 'integer', minimum: 0, example: 3 })
  changed!: number;
}

/** A page of what differs between two versions of a table. */
export class RowComparisonView {
  @ApiProperty({ type: [String], description: 'As the head calls them.', example: ['Date'] })
  key!: string[];

  @ApiProperty({
    type: [TableColumnView],
    description: 'Columns that only the head has. They make no row a changed one.',
  })
  addedColumns!: TableColumnView[];

  @ApiProperty({ type: [TableColumnView], description: 'Columns that only the base has.' })
  removedColumns!: TableColumnView[];

  @ApiProperty({ description: 'Of all pages together.' })
  counts!: RowCountsView;

  @ApiProperty({ type: [RowChangeView], description: 'In the order of their keys, nulls last.' })
  items!: RowChangeView[];

  @ApiProperty({ type: String, nullable: true, example: null })
  nextCursor!: string | null;
}
