import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';
import type { FileId, Sha256 } from '../core/ids.js';
import type { JsonObject } from '../core/json.js';

/** A stored content. bigint columns are strings, as PostgreSQL's driver gives them. */
@Entity('files')
export class FileEntity {
  @PrimaryGeneratedColumn({ type: 'integer' })
  id!: FileId;

  @Column({ type: 'text', name: 'storage_type' })
  storageType!: string;

  @Column({ type: 'text', name: 'file_type', nullable: true })
  fileType!: string | null;

  @Column({ type: 'text', name: 'mime_type' })
  mimeType!: string;

  /** The backend's key of its bytes. */
  @Column({ type: 'text', name: 'file_path' })
  filePath!: string;

  @Column({ type: 'bigint', name: 'file_size' })
  fileSize!: string;

  @Column({ type: 'char', length: 64, name: 'content_hash' })
  contentHash!: Sha256;

  @Column({ type: 'bigint', name: 'reference_count' })
  referenceCount!: string;

  @Column({ type: 'text', name: 'compression_type', nullable: true })
  compressionType!: string | null;

  @Column({ type: 'jsonb' })
  metadata!: JsonObject;

  @Column({ type: 'timestamptz', name: 'created_at' })
  createdAt!: Date;

  /** Since when nothing references it; null while something does. */
  @Column({ type: 'timestamptz', name: 'unreferenced_since', nullable: true })
  unreferencedSince!: Date | null;

  /** When its bytes were found to be lost or changed; the same content heals it. */
  @Column({ type: 'timestamptz', name: 'damaged_at', nullable: true })
  damagedAt!: Date | null;
}
