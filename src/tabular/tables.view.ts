import { ApiProperty, ApiPropertyOptional, getSchemaPath } from '@nestjs/swagger';
import type { JsonObject } from '../core/json.js';
import type { TableColumn } from './engine/columns.js';
import { TABLE_FORMATS } from './engine/source.js';
import { TABLE_PROBLEMS } from './engine/table-problem.js';
import type { DescribedFile } from './tables.service.js';

export class TableColumnView {
  @ApiProperty({ example: 'price' })
  name!: string;

  @ApiProperty({
    description:
      '`boolean`, `int8` to `int128`, `uint8` to `uint128`, `float32`, `float64`, `decimal`, `string`, `binary`, `date`, `time`, `timestamp`, `timestamptz`, `interval`, `uuid`, `json`, `list`, `struct` or `map`.',
    example: 'float64',
  })
  type!: string;

  @ApiProperty({
    type: Boolean,
    nullable: true,
    description: 'Whether some row has no value here; null until all of the table was read.',
    example: false,
  })
  nullable!: boolean | null;

  @ApiPropertyOptional({ type: 'integer', description: 'Of decimals: digits in all.' })
  precision?: number;

  @ApiPropertyOptional({ type: 'integer', description: 'Of decimals: digits after the point.' })
  scale?: number;

  @ApiPropertyOptional({
    type: 'array',
    items: { $ref: '#/components/schemas/TableColumnView' },
    description: 'Of structs their fields, of lists `item`, of maps `key` and `value`.',
  })
  fields?: TableColumnView[];

  static of(this: void, column: TableColumn): TableColumnView {
    const { fields, ...rest } = column;
    return { ...rest, ...(fields && { fields: fields.map(TableColumnView.of) }) };
  }
}

export class FileProblemView {
  @ApiProperty({ enum: TABLE_PROBLEMS, example: 'truncated' })
  code!: string;

  @ApiProperty({ example: 'The compressed data ends before its end.' })
  detail!: string;
}

/** What a file is as a table. */
export class TableSchemaView {
  @ApiProperty({ example: 'measurements/2026/sea-ice.csv' })
  path!: string;

  @ApiProperty({ pattern: '^[0-9a-f]{64}$', description: 'Of the content that it is about.' })
  sha256!: string;

  @ApiProperty({
    type: String,
    enum: TABLE_FORMATS,
    nullable: true,
    description: 'Null for a file that is no table, or one that cannot be read.',
    example: 'csv',
  })
  format!: string | null;

  @ApiProperty({ type: [TableColumnView] })
  columns!: TableColumnView[];

  @ApiProperty({
    type: 'integer',
    nullable: true,
    description: 'Null until all of the table was read, which happens soon after a commit.',
    example: 560,
  })
  rowCount!: number | null;

  @ApiProperty({
    type: 'object',
    additionalProperties: true,
    description:
      'How it was read. Each can be set for the file in the metadata of its entry, as members of `table`.',
    example: { format: 'csv', delimiter: ',', quote: '"', header: true, encoding: 'utf-8' },
  })
  options!: JsonObject;

  @ApiProperty({
    type: [String],
    description: 'Which of the options were guessed.',
    example: ['delimiter', 'header', 'encoding'],
  })
  guessed!: string[];

  @ApiProperty({
    type: [String],
    nullable: true,
    description: 'The sheets of an Excel workbook; each is a table.',
    example: null,
  })
  sheets!: string[] | null;

  @ApiProperty({
    type: Boolean,
    nullable: true,
    description:
      'Whether all of its data stand under checksums of the format, and these fit. Without them, what was damaged before it was uploaded and still looks like data cannot be told from data. Null until all of the table was read.',
    example: false,
  })
  checksummed!: boolean | null;

  @ApiProperty({
    oneOf: [{ $ref: getSchemaPath(FileProblemView) }, { type: 'null' }],
    description: 'Why it cannot be read, though it should be a table.',
    example: null,
  })
  problem!: FileProblemView | null;

  static of(this: void, { file, description, problem }: DescribedFile): TableSchemaView {
    return {
      path: file.entry.path,
      sha256: file.entry.sha256,
      format: description?.format ?? null,
      columns: description?.columns.map(TableColumnView.of) ?? [],
      rowCount: description?.rowCount ?? null,
      options: { ...(description?.options as JsonObject | undefined) },
      guessed: [...(description?.guessed ?? [])],
      sheets: description?.sheets ? [...description.sheets] : null,
      checksummed: description?.isChecksummed ?? null,
      problem,
    };
  }
}

/** A page of rows as JSON. */
export class RowsView {
  @ApiProperty({ type: [TableColumnView] })
  columns!: TableColumnView[];

  @ApiProperty({
    type: 'array',
    items: { type: 'object', additionalProperties: true },
    description:
      'Whole numbers and decimals beyond 2^53 are text, as are NaN and the infinities; dates are ISO 8601, binary is base64.',
    example: [{ symbol: 'MSFT', price: 39.81 }],
  })
  items!: JsonObject[];

  @ApiProperty({ type: String, nullable: true, example: null })
  nextCursor!: string | null;
}
