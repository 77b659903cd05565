import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';
import type { DatasetId, FileId, LineageId, Sha256, UserId, VersionId } from '../core/ids.js';

/**
 * A row of `dataset_versions`: a committed version, which never changes, a draft, or the tombstone of
 * a version that was removed.
 */
@Entity({ name: 'dataset_versions' })
export class DatasetVersion {
  @PrimaryGeneratedColumn({ type: 'integer' })
  id!: VersionId;

  @Column({ name: 'dataset_id', type: 'integer' })
  datasetId!: DatasetId;

  @Column({ name: 'version_number', type: 'integer', nullable: true })
  versionNumber!: number | null;

  @Column({ type: 'text' })
  status!: 'draft' | 'committed' | 'removed';

  @Column({ name: 'parent_version_id', type: 'integer', nullable: true })
  parentVersionId!: VersionId | null;

  @Column({ name: 'merge_parent_id', type: 'integer', nullable: true })
  mergeParentId!: VersionId | null;

  @Column({ type: 'text' })
  message!: string;

  @Column({ name: 'created_by', type: 'integer' })
  createdBy!: UserId;

  @Column({ name: 'created_at', type: 'timestamptz' })
  createdAt!: Date;

  @Column({ name: 'committed_at', type: 'timestamptz', nullable: true })
  committedAt!: Date | null;

  @Column({ name: 'overlay_file_id', type: 'integer', nullable: true })
  overlayFileId!: FileId | null;

  @Column({ type: 'char', length: 64, nullable: true })
  digest!: Sha256 | null;

  /** PostgreSQL's bigint, which the driver gives as text. */
  @Column({ name: 'file_count', type: 'bigint' })
  fileCount!: string;

  @Column({ name: 'total_size', type: 'bigint' })
  totalSize!: string;

  @Column({ name: 'lineage_id', type: 'integer', nullable: true })
  lineageId!: LineageId | null;

  @Column({ name: 'lineage_depth', type: 'integer', nullable: true })
  lineageDepth!: number | null;

  /** How many rows its own lineage adds to reading it. */
  @Column({ name: 'lineage_rows', type: 'bigint' })
  lineageRows!: string;

  /** A lineage that starts with all that the version holds: it and its children are read there. */
  @Column({ name: 'snapshot_lineage_id', type: 'integer', nullable: true })
  snapshotLineageId!: LineageId | null;

  /** Of a removed version: the row of `dataset_removals` that says why. */
  @Column({ name: 'removal_id', type: 'integer', nullable: true })
  removalId!: number | null;

  @Column({ name: 'removed_at', type: 'timestamptz', nullable: true })
  removedAt!: Date | null;

  /** Of a draft: the branch that it is to be committed to. */
  @Column({ name: 'draft_branch', type: 'text', nullable: true })
  draftBranch!: string | null;

  @Column({ name: 'draft_touched_at', type: 'timestamptz', nullable: true })
  draftTouchedAt!: Date | null;

  /** Of the scratch of an archive that is being received: the draft that it goes into. */
  @Column({ name: 'draft_of', type: 'integer', nullable: true })
  draftOf!: VersionId | null;
}
