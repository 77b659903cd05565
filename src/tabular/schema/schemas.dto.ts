import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { Type } from 'class-transformer';
import {
  ArrayMaxSize,
  IsArray,
  IsIn,
  IsOptional,
  IsString,
  Length,
  ValidateNested,
} from 'class-validator';
import { TableColumnView } from '../tables.view.js';
import { VERDICTS, type SchemaDiff, type Verdict } from './schema-diff.js';
import { LEVELS } from './schema-rules.js';

const REF = { type: String, minLength: 1, maxLength: 300 };

export class CompareSchemaQuery {
  @ApiProperty({ ...REF, example: '1' })
  @IsString()
  @Length(1, 300)
  base!: string;

  @ApiProperty({ ...REF, example: 'main' })
  @IsString()
  @Length(1, 300)
  head!: string;

  @ApiProperty({ minLength: 1, maxLength: 1024, example: 'measurements/2026/sea-ice.csv' })
  @IsString()
  @Length(1, 1024)
  path!: string;

  @ApiPropertyOptional({ type: String, minLength: 1, maxLength: 255 })
  @IsOptional()
  @IsString()
  @Length(1, 255)
  sheet?: string;
}

export class RenamedColumnView {
  @ApiProperty({ example: 'temp' })
  from!: string;

  @ApiProperty({ example: 'temperature' })
  to!: string;
}

export class RetypedColumnView {
  @ApiProperty({ example: 'id' })
  name!: string;

  @ApiProperty({ example: 'int32' })
  from!: string;

  @ApiProperty({ example: 'int64' })
  to!: string;

  @ApiProperty({ enum: ['widening', 'narrowing', 'incompatible'], example: 'widening' })
  change!: string;
}

export class NullabilityView {
  @ApiProperty({ example: 'name' })
  name!: string;

  @ApiProperty({ description: 'What it is now.', example: true })
  nullable!: boolean;
}

/** What became of a table's columns. */
export class SchemaDiffView {
  @ApiProperty({ type: [TableColumnView] })
  added!: TableColumnView[];

  @ApiProperty({ type: [TableColumnView] })
  removed!: TableColumnView[];

  @ApiProperty({
    type: [RenamedColumnView],
    description: 'A guess: of one type and in one place. They are among added and removed too.',
  })
  renamed!: RenamedColumnView[];

  @ApiProperty({ type: [RetypedColumnView] })
  retyped!: RetypedColumnView[];

  @ApiProperty({
    type: [NullabilityView],
    description: 'As the data show it; no part of the verdict.',
  })
  nullability!: NullabilityView[];

  @ApiProperty({
    enum: VERDICTS,
    description:
      '`backward`: new readers can go on with old data. `forward`: old readers can go on with new data. `full`: both. `breaking`: neither.',
    example: 'backward',
  })
  verdict!: Verdict;

  static of(this: void, diff: SchemaDiff): SchemaDiffView {
    return {
      added: diff.added.map(TableColumnView.of),
      removed: diff.removed.map(TableColumnView.of),
      renamed: [...diff.renamed],
      retyped: [...diff.retyped],
      nullability: [...diff.nullability],
      verdict: diff.verdict,
    };
  }
}

export class SchemaRuleDto {
  @ApiProperty({
    minLength: 1,
    maxLength: 255,
    description: '`*` is any text within a segment, `**` any text, `?` one character.',
    example: 'measurements/**.csv',
  })
  @IsString()
  @Length(1, 255)
  pattern!: string;

  @ApiProperty({ enum: LEVELS, example: 'backward' })
  @IsIn(LEVELS)
  level!: (typeof LEVELS)[number];
}

/** How the schemas of a dataset's tables may change. */
export class SchemaRulesDto {
  @ApiProperty({ type: [SchemaRuleDto], description: 'The first whose pattern fits counts.' })
  @IsArray()
  @ArrayMaxSize(100)
  @ValidateNested({ each: true })
  @Type(() => SchemaRuleDto)
  rules!: SchemaRuleDto[];
}
