import { ApiProperty } from '@nestjs/swagger';

const SHA256_EXAMPLE = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';

/** A content, and what the caller said of it. */
class DescribedFileView {
  @ApiProperty({ type: 'integer', example: 7 })
  id!: number;

  @ApiProperty({ description: 'SHA-256 of the content, in hexadecimal.', example: SHA256_EXAMPLE })
  sha256!: string;

  @ApiProperty({ type: 'integer', format: 'int64', example: 3 })
  sizeBytes!: number;

  @ApiProperty({
    type: String,
    nullable: true,
    description: 'What the caller called it; null where the caller has not uploaded it.',
    example: 'sales.csv',
  })
  name!: string | null;

  @ApiProperty({ type: String, nullable: true, example: 'csv' })
  fileType!: string | null;

  @ApiProperty({ example: 'text/csv' })
  mimeType!: string;

  @ApiProperty({ type: String, nullable: true, example: null })
  compressionType!: string | null;
}

/** A file that the caller may read. */
export class FileView extends DescribedFileView {
  @ApiProperty({
    type: String,
    format: 'date-time',
    nullable: true,
    description: 'When the caller uploaded it; null where the caller holds no upload of it.',
    example: '2026-11-20T10:00:00.000Z',
  })
  uploadedAt!: string | null;

  @ApiProperty({
    type: String,
    format: 'date-time',
    nullable: true,
    description: "Until when the caller's upload alone keeps it.",
    example: '2026-11-21T10:00:00.000Z',
  })
  heldUntil!: string | null;

  @ApiProperty({
    description: 'Its bytes were found lost or changed; uploading the same content heals it.',
    example: false,
  })
  damaged!: boolean;
}

/** What an upload became. */
export class UploadedFileView extends DescribedFileView {
  @ApiProperty({
    description:
      'The content was stored already, and the caller could read it then. Always false where the caller could not.',
    example: false,
  })
  deduplicated!: boolean;
}

/** What the parts of a form became, in their order. */
export class UploadedFilesView {
  @ApiProperty({ type: [UploadedFileView] })
  items!: UploadedFileView[];
}

/** A content that the caller may reuse without sending it again. */
export class ReusableFileView {
  @ApiProperty({ type: 'integer', example: 7 })
  id!: number;

  @ApiProperty({ example: SHA256_EXAMPLE })
  sha256!: string;

  @ApiProperty({ type: 'integer', format: 'int64', example: 3 })
  sizeBytes!: number;
}

export class ReusableFilesView {
  @ApiProperty({ type: [ReusableFileView] })
  items!: ReusableFileView[];
}
