import { Column, Entity, PrimaryColumn } from 'typeorm';
import type { FileId, UserId } from '../core/ids.js';
import type { JsonObject } from '../core/json.js';

/** An uploader's reference to what it uploaded, and what it said of it. */
@Entity('upload_holds')
export class UploadHoldEntity {
  @PrimaryColumn({ type: 'integer', name: 'file_id' })
  fileId!: FileId;

  @PrimaryColumn({ type: 'integer', name: 'user_id' })
  userId!: UserId;

  @Column({ type: 'text', name: 'file_type', nullable: true })
  fileType!: string | null;

  @Column({ type: 'text', name: 'mime_type' })
  mimeType!: string;

  @Column({ type: 'text', name: 'compression_type', nullable: true })
  compressionType!: string | null;

  @Column({ type: 'jsonb' })
  metadata!: JsonObject;

  @Column({ type: 'timestamptz', name: 'created_at' })
  createdAt!: Date;

  @Column({ type: 'timestamptz', name: 'expires_at' })
  expiresAt!: Date;
}
