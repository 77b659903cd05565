import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';
import type { DatasetId, LineageId, VersionId } from '../core/ids.js';

/** A row of `dataset_lineages`: a line of versions in which each continues the one before. */
@Entity({ name: 'dataset_lineages' })
export class DatasetLineage {
  @PrimaryGeneratedColumn({ type: 'integer' })
  id!: LineageId;

  @Column({ name: 'dataset_id', type: 'integer' })
  datasetId!: DatasetId;

  /** The version that it grew from; null for the first, or where that one has been let go. */
  @Column({ name: 'origin_version_id', type: 'integer', nullable: true })
  originVersionId!: VersionId | null;

  /** What its versions are read from besides its own rows, the nearest first. */
  @Column({ name: 'ancestor_lineages', type: 'integer', array: true })
  ancestorLineages!: LineageId[];

  @Column({ name: 'ancestor_depths', type: 'integer', array: true })
  ancestorDepths!: number[];

  @Column({ name: 'ancestor_rows', type: 'bigint', array: true })
  ancestorRows!: string[];

  @Column({ name: 'base_rows', type: 'bigint' })
  baseRows!: string;
}
