import { ApiProperty, getSchemaPath } from '@nestjs/swagger';
import type { JsonValue } from '../core/json.js';
import type { ColumnProfile, TableProfile } from './engine/profile.js';
import { TABLE_FORMATS } from './engine/source.js';
import { TableColumnView } from './tables.view.js';

const VALUE = {
  nullable: true,
  oneOf: [{ type: 'string' }, { type: 'number' }, { type: 'boolean' }],
};
const NUMBER = { type: Number, nullable: true };

export class QuantilesView {
  @ApiProperty({ example: 1 })
  p25!: number;

  @ApiProperty({ example: 2 })
  p50!: number;

  @ApiProperty({ example: 3 })
  p75!: number;
}

export class FrequentValueView {
  @ApiProperty({ type: String, nullable: true, example: 'MSFT' })
  value!: JsonValue;

  @ApiProperty({
    type: 'integer',
    nullable: true,
    description: 'Null where the table is too large to be read twice.',
    example: 123,
  })
  count!: number | null;
}

export class HistogramBinView {
  @ApiProperty({ example: 0 })
  from!: number;

  @ApiProperty({ description: 'Not in it, except for the last one.', example: 10 })
  to!: number;

  @ApiProperty({ type: 'integer', example: 17 })
  count!: number;
}

export class HistogramView {
  @ApiProperty({
    description: 'Counts are interpolated between quantiles, as for large tables.',
    example: false,
  })
  approximate!: boolean;

  @ApiProperty({ type: [HistogramBinView] })
  bins!: HistogramBinView[];
}

export class ColumnProfileView {
  @ApiProperty({ type: TableColumnView })
  column!: TableColumnView;

  @ApiProperty({ type: 'integer', description: 'Rows with a value.', example: 560 })
  count!: number;

  @ApiProperty({ type: 'integer', example: 0 })
  nulls!: number;

  @ApiProperty({
    type: 'integer',
    nullable: true,
    description: 'Of floating point: NaN and infinities, which the rest leaves out.',
    example: 0,
  })
  notFinite!: number | null;

  @ApiProperty({ type: 'integer', nullable: true, description: 'Approximate.', example: 5 })
  distinct!: number | null;

  @ApiProperty({ ...VALUE, example: 5.97 })
  minimum!: JsonValue;

  @ApiProperty({ ...VALUE, example: 707 })
  maximum!: JsonValue;

  @ApiProperty({ ...NUMBER, example: 100.7 })
  mean!: number | null;

  @ApiProperty({ ...NUMBER, description: 'Of the sample.', example: 132.5 })
  deviation!: number | null;

  @ApiProperty({
    oneOf: [{ $ref: getSchemaPath(QuantilesView) }, { type: 'null' }],
    description: 'Approximate.',
  })
  quantiles!: QuantilesView | null;

  @ApiProperty({ type: [FrequentValueView] })
  frequent!: FrequentValueView[];

  @ApiProperty({ oneOf: [{ $ref: getSchemaPath(HistogramView) }, { type: 'null' }] })
  histogram!: HistogramView | null;

  static of(this: void, profile: ColumnProfile): ColumnProfileView {
    const { histogram, frequent } = profile;
    return {
      ...profile,
      column: TableColumnView.of(profile.column),
      frequent: [...frequent],
      histogram: histogram && { ...histogram, bins: [...histogram.bins] },
    };
  }
}

/** Statistics of all rows of a table. */
export class TableProfileView {
  @ApiProperty({ enum: TABLE_FORMATS, example: 'csv' })
  format!: string;

  @ApiProperty({ type: 'integer', example: 560 })
  rowCount!: number;

  @ApiProperty({ type: [ColumnProfileView] })
  columns!: ColumnProfileView[];

  static of(this: void, { format, rowCount, columns }: TableProfile): TableProfileView {
    return { format, rowCount, columns: columns.map(ColumnProfileView.of) };
  }
}
