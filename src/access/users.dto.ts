import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsBoolean, IsIn, IsString, Matches, MaxLength, ValidateIf } from 'class-validator';
import { MAX_ID } from '../core/ids.js';
import type { Role } from '../core/principal.js';
import type { UserEntity } from './user.entity.js';

const ROLES: Role[] = ['admin', 'member'];

/** Names that can be read and told apart: no control characters, no blank at either end. */
export const PLAIN_NAME = /^(?!\s)[^\p{Cc}\p{Cs}]+(?<!\s)$/u;
export const MAX_NAME = 100;

/** Only where it is given at all; null is no way of leaving a property out. */
export const IfGiven = () => ValidateIf((_, value: unknown) => value !== undefined);

export class CreateUserDto {
  @ApiProperty({ minLength: 1, maxLength: MAX_NAME, example: 'ada' })
  @IsString()
  @MaxLength(MAX_NAME)
  @Matches(PLAIN_NAME, {
    message: 'must not be empty, begin or end with a blank, or contain control characters',
  })
  name!: string;

  @ApiProperty({ enum: ROLES, example: 'member' })
  @IsIn(ROLES)
  role!: Role;
}

export class ChangeUserDto {
  @ApiPropertyOptional({ enum: ROLES, example: 'admin' })
  @IfGiven()
  @IsIn(ROLES)
  role?: Role;

  @ApiPropertyOptional({
    type: Boolean,
    description: 'Whether the user is shut out, with all of its keys.',
    example: true,
  })
  @IfGiven()
  @IsBoolean()
  disabled?: boolean;
}

export class UserView {
  @ApiProperty({ type: 'integer', minimum: 1, maximum: MAX_ID, example: 2 })
  id!: number;

  @ApiProperty({ example: 'ada' })
  name!: string;

  @ApiProperty({ enum: ROLES, example: 'member' })
  role!: Role;

  @ApiProperty({ format: 'date-time', example: '2026-03-01T12:00:00.000Z' })
  createdAt!: string;

  @ApiProperty({
    type: String,
    format: 'date-time',
    nullable: true,
    description: 'Since when the user is shut out; null while it is not.',
    example: null,
  })
  disabledAt!: string | null;

  static of(this: void, user: UserEntity): UserView {
    return {
      id: user.id,
      name: user.name,
      role: user.role,
      createdAt: user.createdAt.toISOString(),
      disabledAt: user.disabledAt?.toISOString() ?? null,
    };
  }
}
