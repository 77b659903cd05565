import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import type { JsonObject } from '../core/json.js';
import { DOCUMENT_FORMAT } from './dataset-document.js';

const SHA256 = {
  pattern: '^[0-9a-f]{64}$',
  example: 'b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9',
};

class DocumentDatasetView {
  @ApiProperty({ example: 'sea-ice-extent' })
  name!: string;

  @ApiPropertyOptional({ example: 'Daily extent of the polar sea ice since 1978.' })
  description?: string;

  @ApiPropertyOptional({
    type: 'object',
    additionalProperties: true,
    example: { licence: 'CC-BY-4.0' },
  })
  metadata?: JsonObject;

  @ApiPropertyOptional({ type: [String], example: ['climate'] })
  tags?: string[];

  @ApiPropertyOptional({ example: 'main' })
  defaultBranch?: string;

  @ApiPropertyOptional({ description: 'Passed over by an import.', example: 'ada' })
  owner?: string;

  @ApiPropertyOptional({
    format: 'date-time',
    description: 'Passed over by an import.',
    example: '2026-03-01T12:00:00.000Z',
  })
  createdAt?: string;

  @ApiPropertyOptional({
    format: 'date-time',
    description: 'Passed over by an import.',
    example: '2026-03-01T12:00:00.000Z',
  })
  updatedAt?: string;
}

class DocumentOperationView {
  @ApiProperty({ example: 'daily/2026.csv' })
  path!: string;

  @ApiPropertyOptional({ ...SHA256, description: 'The content that stands there from here on.' })
  sha256?: string;

  @ApiPropertyOptional({ type: 'integer', minimum: 0, example: 48_219 })
  sizeBytes?: number;

  @ApiPropertyOptional({ type: 'object', additionalProperties: true, example: { rows: 365 } })
  metadata?: JsonObject;

  @ApiPropertyOptional({ description: 'The path is removed.', example: false })
  removed?: boolean;
}

class DocumentVersionView {
  @ApiProperty({ type: 'integer', minimum: 1, example: 1 })
  number!: number;

  @ApiPropertyOptional({
    type: 'integer',
    nullable: true,
    description: 'The number of the version that it follows.',
    example: null,
  })
  parent?: number | null;

  @ApiPropertyOptional({ example: 'First files' })
  message?: string;

  @ApiPropertyOptional({
    type: String,
    nullable: true,
    description: 'Passed over by an import.',
    example: 'ada',
  })
  author?: string | null;

  @ApiPropertyOptional({
    format: 'date-time',
    description: 'Passed over by an import.',
    example: '2026-03-01T12:00:00.000Z',
  })
  committedAt?: string;

  @ApiPropertyOptional({ ...SHA256, description: 'Passed over by an import.' })
  digest?: string;

  @ApiProperty({
    type: [DocumentOperationView],
    description: 'What it changes against its parent.',
  })
  operations!: DocumentOperationView[];
}

/** An exported dataset. */
export class DatasetDocumentView {
  @ApiProperty({ enum: [DOCUMENT_FORMAT], example: DOCUMENT_FORMAT })
  format!: string;

  @ApiProperty({ type: DocumentDatasetView })
  dataset!: DocumentDatasetView;

  @ApiPropertyOptional({ type: [DocumentVersionView], description: 'The oldest first.' })
  versions?: DocumentVersionView[];
}
