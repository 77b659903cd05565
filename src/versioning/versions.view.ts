import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import type { VersionEntry, VersionRecord } from '../core/contracts/versions.js';
import { MAX_ID } from '../core/ids.js';
import type { JsonObject } from '../core/json.js';

const DIGEST = '9b2d1f3c8a7e6d5c4b3a29181706f5e4d3c2b1a0998877665544332211ffeedd';

export class VersionView {
  @ApiProperty({ type: 'integer', minimum: 1, maximum: MAX_ID, example: 41 })
  id!: number;

  @ApiProperty({ type: 'integer', minimum: 1, maximum: MAX_ID, example: 12 })
  datasetId!: number;

  @ApiProperty({
    type: 'integer',
    minimum: 1,
    description: 'Counts the versions of the dataset, over all branches.',
    example: 3,
  })
  versionNumber!: number;

  @ApiProperty({
    description:
      'The SHA-256 of the version’s overlay document, which names its parents’ digests and every change.',
    pattern: '^[0-9a-f]{64}$',
    example: DIGEST,
  })
  digest!: string;

  @ApiProperty({ type: 'integer', nullable: true, description: 'The first parent.', example: 40 })
  parentId!: number | null;

  @ApiProperty({
    type: 'integer',
    nullable: true,
    description: 'The other parent of a merge.',
    example: null,
  })
  mergeParentId!: number | null;

  @ApiProperty({ example: 'Add the measurements of November' })
  message!: string;

  @ApiProperty({ type: 'integer', description: 'The author’s id.', example: 2 })
  createdBy!: number;

  @ApiProperty({ format: 'date-time', example: '2026-11-20T12:00:00.000Z' })
  committedAt!: string;

  @ApiProperty({ type: 'integer', example: 1204 })
  fileCount!: number;

  @ApiProperty({ type: 'integer', example: 73400320 })
  totalSizeBytes!: number;

  static of(this: void, version: VersionRecord): VersionView {
    return { ...version, committedAt: version.committedAt.toISOString() };
  }
}

/** When and why a content was taken out. */
export class PurgedView {
  @ApiProperty({ example: 'Personal data; erasure request 2026-114' })
  reason!: string;

  @ApiProperty({ format: 'date-time', example: '2026-11-20T12:00:00.000Z' })
  purgedAt!: string;
}

/** A file of a version. */
export class FileEntryView {
  @ApiProperty({ example: 'measurements/2026/sea-ice.csv' })
  path!: string;

  @ApiProperty({ type: 'integer', minimum: 1, maximum: MAX_ID, example: 31 })
  fileId!: number;

  @ApiProperty({ pattern: '^[0-9a-f]{64}$', example: DIGEST })
  sha256!: string;

  @ApiProperty({ type: 'integer', example: 48210 })
  sizeBytes!: number;

  @ApiProperty({ type: String, nullable: true, example: 'csv' })
  fileType!: string | null;

  @ApiProperty({ example: 'text/csv' })
  mimeType!: string;

  @ApiProperty({ type: 'object', additionalProperties: true, nullable: true, example: null })
  metadata!: JsonObject | null;

  @ApiPropertyOptional({
    type: PurgedView,
    description:
      'Only where the content was purged: `fileId` names the notice that stands in its place, all else is as it was.',
  })
  purged?: PurgedView;

  static of(this: void, { purged, ...entry }: VersionEntry): FileEntryView {
    if (!purged) return entry;
    return { ...entry, purged: { ...purged, purgedAt: purged.purgedAt.toISOString() } };
  }
}

/** What several files' names begin with, up to a delimiter. */
export class CommonPrefixView {
  @ApiProperty({ example: 'measurements/2026/' })
  prefix!: string;
}
