import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';
import type { DatasetId, VersionId } from '../core/ids.js';

/** A row of `dataset_pointers`: a branch, which moves, or a tag, which never does. */
@Entity({ name: 'dataset_pointers' })
export class DatasetPointer {
  @PrimaryGeneratedColumn({ type: 'integer' })
  id!: number;

  @Column({ name: 'dataset_id', type: 'integer' })
  datasetId!: DatasetId;

  @Column({ name: 'pointer_name', type: 'text' })
  pointerName!: string;

  /** Null while the branch is empty. */
  @Column({ name: 'dataset_version_id', type: 'integer', nullable: true })
  versionId!: VersionId | null;

  @Column({ name: 'is_tag', type: 'boolean' })
  isTag!: boolean;

  /** Only merges move a protected branch. */
  @Column({ name: 'is_protected', type: 'boolean' })
  isProtected!: boolean;

  @Column({ name: 'created_at', type: 'timestamptz' })
  createdAt!: Date;

  @Column({ name: 'updated_at', type: 'timestamptz' })
  updatedAt!: Date;
}
