import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsBoolean, IsString, Length, ValidateIf } from 'class-validator';
import { MAX_ID } from '../core/ids.js';
import type { Pointer } from './branches.js';
import { IsPointerName, MAX_REF_LENGTH, POINTER_NAME } from './versions.dto.js';

const IfGiven = () => ValidateIf((_, value: unknown) => value !== undefined);

const FROM = {
  minLength: 1,
  maxLength: MAX_REF_LENGTH,
  description: 'A ref to the version that it shall point at.',
  example: 'main',
};

export class CreateBranchDto {
  @ApiProperty({ ...POINTER_NAME, example: 'feature/a' })
  @IsPointerName()
  name!: string;

  @ApiProperty(FROM)
  @IsString()
  @Length(1, MAX_REF_LENGTH)
  from!: string;
}

export class CreateTagDto {
  @ApiProperty({ ...POINTER_NAME, example: 'v1.2' })
  @IsPointerName()
  name!: string;

  @ApiProperty(FROM)
  @IsString()
  @Length(1, MAX_REF_LENGTH)
  from!: string;
}

export class ChangeBranchDto {
  @ApiPropertyOptional({ ...FROM, example: '12' })
  @IfGiven()
  @IsString()
  @Length(1, MAX_REF_LENGTH)
  to?: string;

  @ApiPropertyOptional({ ...POINTER_NAME, example: 'feature/b' })
  @IfGiven()
  @IsPointerName()
  name?: string;
}

export class ProtectBranchDto {
  @ApiProperty({ description: 'Whether only merges may move it.', example: true })
  @IsBoolean()
  isProtected!: boolean;
}

/** What branches and tags have in common. */
class PointerView {
  @ApiProperty({ example: 'main' })
  name!: string;

  @ApiProperty({ format: 'date-time', example: '2026-11-20T12:00:00.000Z' })
  createdAt!: string;

  @ApiProperty({ format: 'date-time', example: '2026-11-20T12:00:00.000Z' })
  updatedAt!: string;
}

export class BranchView extends PointerView {
  @ApiProperty({
    type: 'integer',
    nullable: true,
    minimum: 1,
    maximum: MAX_ID,
    description: 'Of the version at its head; null while it is empty.',
    example: 7,
  })
  versionNumber!: number | null;

  @ApiProperty({
    type: String,
    nullable: true,
    pattern: '^[0-9a-f]{64}$',
    example: 'ab'.repeat(32),
  })
  digest!: string | null;

  @ApiProperty({ description: 'Only merges move it.', example: false })
  isProtected!: boolean;

  static of(this: void, pointer: Pointer): BranchView {
    const { name, versionNumber, digest, isProtected, createdAt, updatedAt } = pointer;
    return {
      name,
      versionNumber,
      digest,
      isProtected,
      createdAt: createdAt.toISOString(),
      updatedAt: updatedAt.toISOString(),
    };
  }
}

export class TagView extends PointerView {
  @ApiProperty({ type: 'integer', minimum: 1, maximum: MAX_ID, example: 7 })
  versionNumber!: number;

  @ApiProperty({ pattern: '^[0-9a-f]{64}$', example: 'ab'.repeat(32) })
  digest!: string;

  static of(this: void, pointer: Pointer): TagView {
    const { name, versionNumber, digest, createdAt, updatedAt } = pointer;
    return {
      name,
      versionNumber: versionNumber ?? 0,
      digest: digest ?? '',
      createdAt: createdAt.toISOString(),
      updatedAt: updatedAt.toISOString(),
    };
  }
}
