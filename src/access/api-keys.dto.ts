import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { Transform } from 'class-transformer';
import { IsIn, IsInt, IsRFC3339, IsString, Matches, Max, MaxLength, Min } from 'class-validator';
import { PERMISSIONS, type Permission } from '../core/permission.js';
import { MAX_ID, type UserId } from '../core/ids.js';
import { PageQuery, toWholeNumber } from '../platform/http/paging.js';
import type { ApiKeyEntity } from './api-key.entity.js';
import type { IssuedKey } from './api-keys.service.js';
import { IfGiven, MAX_NAME, PLAIN_NAME } from './users.dto.js';

/** A week. */
const MAX_OVERLAP_SECONDS = 604_800;

export class CreateApiKeyDto {
  @ApiProperty({ minLength: 1, maxLength: MAX_NAME, example: 'nightly import' })
  @IsString()
  @MaxLength(MAX_NAME)
  @Matches(PLAIN_NAME, {
    message: 'must not be empty, begin or end with a blank, or contain control characters',
  })
  name!: string;

  @ApiPropertyOptional({
    enum: PERMISSIONS,
    default: 'admin',
    description:
      'The most that may be done with it, whatever its user may do: `read`, `write` too, or, to administer what its user administers and to manage its keys, `admin`.',
    example: 'read',
  })
  @IfGiven()
  @IsIn(PERMISSIONS)
  scope?: Permission;

  @ApiPropertyOptional({
    type: String,
    format: 'date-time',
    description: 'When the key stops working (RFC 3339); without it, when it is revoked.',
    example: '2027-01-01T00:00:00Z',
  })
  @IfGiven()
  @IsRFC3339()
  expiresAt?: string;

  @ApiPropertyOptional({
    type: 'integer',
    minimum: 1,
    maximum: MAX_ID,
    description: 'Whose key it will be: for administrators. Without it, your own.',
    example: 2,
  })
  @IfGiven()
  @IsInt()
  @Min(1)
  @Max(MAX_ID)
  userId?: UserId;
}

export class RotateApiKeyDto {
  @ApiPropertyOptional({
    type: 'integer',
    minimum: 0,
    maximum: MAX_OVERLAP_SECONDS,
    default: 0,
    description: 'For how many seconds the old key still works beside the new one.',
    example: 3600,
  })
  @IfGiven()
  @IsInt()
  @Min(0)
  @Max(MAX_OVERLAP_SECONDS)
  overlapSeconds: number = 0;
}

export class ApiKeyQuery extends PageQuery {
  @ApiPropertyOptional({
    type: 'integer',
    minimum: 1,
    maximum: MAX_ID,
    description: 'Whose keys: for administrators. Without it, your own.',
  })
  @IfGiven()
  @Transform(toWholeNumber)
  @IsInt()
  @Min(1)
  @Max(MAX_ID)
  userId?: UserId;
}

export class ApiKeyView {
  @ApiProperty({ type: 'integer', minimum: 1, maximum: MAX_ID, example: 7 })
  id!: number;

  @ApiProperty({ type: 'integer', minimum: 1, maximum: MAX_ID, example: 2 })
  userId!: number;

  @ApiProperty({ example: 'nightly import' })
  name!: string;

  @ApiProperty({
    description: 'The first characters of the key, to recognise it by.',
    example: 'varve_q7FvJ2',
  })
  prefix!: string;

  @ApiProperty({ enum: PERMISSIONS, example: 'read' })
  scope!: Permission;

  @ApiProperty({ format: 'date-time', example: '2026-03-01T12:00:00.000Z' })
  createdAt!: string;

  @ApiProperty({ type: String, format: 'date-time', nullable: true, example: null })
  expiresAt!: string | null;

  @ApiProperty({
    type: String,
    format: 'date-time',
    nullable: true,
    description: 'When it was last used, to the minute.',
    example: '2026-03-02T08:30:00.000Z',
  })
  lastUsedAt!: string | null;

  @ApiProperty({ type: String, format: 'date-time', nullable: true, example: null })
  revokedAt!: string | null;

  static of(this: void, key: ApiKeyEntity): ApiKeyView {
    return {
      id: key.id,
      userId: key.userId,
      name: key.name,
      prefix: key.prefix,
      scope: key.scope,
      createdAt: key.createdAt.toISOString(),
      expiresAt: key.expiresAt?.toISOString() ?? null,
      lastUsedAt: key.lastUsedAt?.toISOString() ?? null,
      revokedAt: key.revokedAt?.toISOString() ?? null,
    };
  }
}

export class IssuedApiKeyView extends ApiKeyView {
  @ApiProperty({
    description: 'The key itself. It is shown this once and stored nowhere.',
    example: 'varve_q7FvJ2kXw0bT4mZc9RrLh1uYd8sNpQeAaGiVjKfBxM4',
  })
  key!: string;

  static ofIssued(this: void, issued: IssuedKey): IssuedApiKeyView {
    return { ...ApiKeyView.of(issued.key), key: issued.secret };
  }
}
