import { ApiProperty } from '@nestjs/swagger';
import type { VersionStatistics } from '../core/contracts/versions.js';
import { MAX_ID } from '../core/ids.js';
import type { JsonObject } from '../core/json.js';
import type { DatasetDetails } from './datasets.repository.js';

/** Who a dataset belongs to. */
export class DatasetOwnerView {
  @ApiProperty({ type: 'integer', minimum: 1, maximum: MAX_ID, example: 2 })
  id!: number;

  @ApiProperty({ example: 'ada' })
  name!: string;
}

export class DatasetView {
  @ApiProperty({ type: 'integer', minimum: 1, maximum: MAX_ID, example: 12 })
  id!: number;

  @ApiProperty({ example: 'sea-ice-extent' })
  name!: string;

  @ApiProperty({ example: 'Daily extent of the polar sea ice since 1978.' })
  description!: string;

  @ApiProperty({ type: 'object', additionalProperties: true, example: { licence: 'CC-BY-4.0' } })
  metadata!: JsonObject;

  @ApiProperty({ type: [String], example: ['climate', 'time-series'] })
  tags!: string[];

  @ApiProperty({ type: DatasetOwnerView })
  owner!: DatasetOwnerView;

  @ApiProperty({ example: 'main' })
  defaultBranch!: string;

  @ApiProperty({
    type: 'integer',
    nullable: true,
    description: 'The number of its newest version; null before the first commit.',
    example: 7,
  })
  latestVersion!: number | null;

  @ApiProperty({ format: 'date-time', example: '2026-03-01T12:00:00.000Z' })
  createdAt!: string;

  @ApiProperty({
    format: 'date-time',
    description: 'When its description or its content last changed.',
    example: '2026-03-01T12:00:00.000Z',
  })
  updatedAt!: string;

  @ApiProperty({ type: String, format: 'date-time', nullable: true, example: null })
  deletedAt!: string | null;

  static of(this: void, dataset: DatasetDetails): DatasetView {
    return {
      id: dataset.id,
      name: dataset.name,
      description: dataset.description,
      metadata: dataset.metadata,
      tags: [...dataset.tags],
      owner: { id: dataset.createdBy, name: dataset.ownerName },
      defaultBranch: dataset.defaultBranch,
      latestVersion: dataset.lastVersionNumber || null,
      createdAt: dataset.createdAt.toISOString(),
      updatedAt: dataset.updatedAt.toISOString(),
      deletedAt: dataset.deletedAt?.toISOString() ?? null,
    };
  }
}

export class DatasetStatisticsView {
  @ApiProperty({ type: 'integer', minimum: 0, example: 3 })
  totalFiles!: number;

  @ApiProperty({ type: 'integer', minimum: 0, example: 48_219 })
  totalSizeBytes!: number;

  @ApiProperty({
    type: 'object',
    additionalProperties: { type: 'integer', minimum: 1 },
    description: 'How many files there are of each type; those without one count as `unknown`.',
    example: { csv: 2, parquet: 1 },
  })
  fileTypes!: Record<string, number>;

  @ApiProperty({ type: 'integer', minimum: 0, example: 7 })
  versionCount!: number;

  @ApiProperty({
    type: String,
    format: 'date-time',
    nullable: true,
    description: 'When the latest of these versions was committed; null while there is none.',
    example: '2026-03-01T12:00:00.000Z',
  })
  lastModified!: string | null;

  @ApiProperty({ type: 'integer', minimum: 0, example: 3 })
  uniqueContentHashes!: number;

  static of(this: void, statistics: VersionStatistics): DatasetStatisticsView {
    return { ...statistics, lastModified: statistics.lastModified?.toISOString() ?? null };
  }
}
