import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import {
  ArrayMaxSize,
  ArrayUnique,
  IsArray,
  IsOptional,
  IsString,
  Matches,
  MaxLength,
  MinLength,
} from 'class-validator';
import type { Sha256 } from '../core/ids.js';

export const MAX_NAME_LENGTH = 1024;
export const MAX_CHECKED = 1000;

const TYPE_NAME = /^[A-Za-z0-9][A-Za-z0-9_+.-]{0,31}$/;

/** What a raw upload says of its body beside the headers. */
export class UploadQuery {
  @ApiPropertyOptional({
    description: 'What the file is called; its types are read off it where nothing else says them.',
    maxLength: MAX_NAME_LENGTH,
    example: 'sales.csv',
  })
  @IsOptional()
  @IsString()
  @MinLength(1)
  @MaxLength(MAX_NAME_LENGTH)
  name?: string;

  @ApiPropertyOptional({
    description: "What kind of file it is; the name's extension unless told.",
    pattern: TYPE_NAME.source,
    example: 'csv',
  })
  @IsOptional()
  @Matches(TYPE_NAME, { message: 'fileType takes letters, digits and _+.-, 32 at the most' })
  fileType?: string;

  @ApiPropertyOptional({
    description: 'How the bytes themselves are compressed; read off the name unless told.',
    pattern: TYPE_NAME.source,
    example: 'gzip',
  })
  @IsOptional()
  @Matches(TYPE_NAME, { message: 'compressionType takes letters, digits and _+.-, 32 at the most' })
  compressionType?: string;
}

/** Digests to be looked up. */
export class CheckFilesBody {
  @ApiProperty({
    description: 'SHA-256 digests in lower-case hexadecimal.',
    type: 'array',
    items: { type: 'string', pattern: '^[0-9a-f]{64}$' },
    maxItems: MAX_CHECKED,
    uniqueItems: true,
    example: ['e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'],
  })
  @IsArray()
  @ArrayMaxSize(MAX_CHECKED)
  @ArrayUnique()
  @Matches(/^[0-9a-f]{64}$/, {
    each: true,
    message: 'sha256 takes SHA-256 digests in lower-case hexadecimal',
  })
  sha256!: Sha256[];
}
