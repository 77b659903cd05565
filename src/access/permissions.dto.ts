import { ApiProperty } from '@nestjs/swagger';
import { IsIn } from 'class-validator';
import { PERMISSIONS, type Permission } from '../core/permission.js';
import { MAX_ID } from '../core/ids.js';
import type { GrantRow } from './grants.service.js';

export class GrantDto {
  @ApiProperty({
    enum: PERMISSIONS,
    description: 'Each includes the ones before it.',
    example: 'write',
  })
  @IsIn(PERMISSIONS)
  permission!: Permission;
}

export class GrantEveryoneDto {
  @ApiProperty({ enum: ['read'], description: 'Everybody may read, no more.', example: 'read' })
  @IsIn(['read'])
  permission!: 'read';
}

/** Whom a grant is for. */
export class GranteeView {
  @ApiProperty({ enum: ['user', 'group', 'everyone'], example: 'user' })
  type!: 'user' | 'group' | 'everyone';

  @ApiProperty({
    type: 'integer',
    minimum: 1,
    maximum: MAX_ID,
    nullable: true,
    description: 'Of the user or the group.',
    example: 2,
  })
  id!: number | null;

  @ApiProperty({ type: String, nullable: true, example: 'ada' })
  name!: string | null;
}

export class PermissionView {
  @ApiProperty({ type: GranteeView })
  grantee!: GranteeView;

  @ApiProperty({ enum: PERMISSIONS, example: 'write' })
  permission!: Permission;

  @ApiProperty({
    type: 'integer',
    minimum: 1,
    maximum: MAX_ID,
    description: 'The user who granted it.',
    example: 1,
  })
  grantedBy!: number;

  @ApiProperty({ format: 'date-time', example: '2026-03-01T12:00:00.000Z' })
  grantedAt!: string;

  static of(this: void, row: GrantRow): PermissionView {
    return {
      grantee: granteeOf(row),
      permission: row.permission,
      grantedBy: row.grantedBy,
      grantedAt: row.grantedAt.toISOString(),
    };
  }
}

function granteeOf({ userId, groupId, granteeName: name }: GrantRow): GranteeView {
  if (userId !== null) return { type: 'user', id: userId, name };
  if (groupId !== null) return { type: 'group', id: groupId, name };
  return { type: 'everyone', id: null, name: null };
}
