import { ApiProperty } from '@nestjs/swagger';
import { IsString, Matches, MaxLength } from 'class-validator';
import { MAX_ID } from '../core/ids.js';
import type { GroupRow, MemberRow } from './groups.service.js';
import { MAX_NAME, PLAIN_NAME } from './users.dto.js';

export class GroupDto {
  @ApiProperty({ minLength: 1, maxLength: MAX_NAME, example: 'ocean team' })
  @IsString()
  @MaxLength(MAX_NAME)
  @Matches(PLAIN_NAME, {
    message: 'must not be empty, begin or end with a blank, or contain control characters',
  })
  name!: string;
}

export class GroupView {
  @ApiProperty({ type: 'integer', minimum: 1, maximum: MAX_ID, example: 3 })
  id!: number;

  @ApiProperty({ example: 'ocean team' })
  name!: string;

  @ApiProperty({ format: 'date-time', example: '2026-03-01T12:00:00.000Z' })
  createdAt!: string;

  static of(this: void, { id, name, createdAt }: GroupRow): GroupView {
    return { id, name, createdAt: createdAt.toISOString() };
  }
}

export class GroupMemberView {
  @ApiProperty({ type: 'integer', minimum: 1, maximum: MAX_ID, example: 2 })
  userId!: number;

  @ApiProperty({ example: 'ada' })
  name!: string;

  @ApiProperty({ format: 'date-time', example: '2026-03-01T12:00:00.000Z' })
  addedAt!: string;

  static of(this: void, { userId, name, addedAt }: MemberRow): GroupMemberView {
    return { userId, name, addedAt: addedAt.toISOString() };
  }
}
