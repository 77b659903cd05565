import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';
import type { DatasetId, UserId } from '../core/ids.js';

/** A row of `datasets`. */
@Entity({ name: 'datasets' })
export class Dataset {
  @PrimaryGeneratedColumn({ type: 'integer' })
  id!: DatasetId;

  @Column({ type: 'text' })
  name!: string;

  @Column({ type: 'text' })
  description!: string;

  @Column({ type: 'jsonb' })
  // A JsonObject; that recursive type is more than TypeORM's partial types can expand.
  metadata!: object;

  @Column({ name: 'created_by', type: 'integer' })
  createdBy!: UserId;

  @Column({ name: 'default_branch', type: 'text' })
  defaultBranch!: string;

  @Column({ name: 'last_version_number', type: 'integer' })
  lastVersionNumber!: number;

  @Column({ name: 'created_at', type: 'timestamptz' })
  createdAt!: Date;

  @Column({ name: 'updated_at', type: 'timestamptz' })
  updatedAt!: Date;

  @Column({ name: 'deleted_at', type: 'timestamptz', nullable: true })
  deletedAt!: Date | null;

  /** From here on its content is being let go, and restoring it is refused. */
  @Column({ name: 'forgotten_at', type: 'timestamptz', nullable: true })
  forgottenAt!: Date | null;
}
