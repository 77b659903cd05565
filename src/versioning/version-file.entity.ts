import { Column, Entity, PrimaryColumn } from 'typeorm';
import type { FileId, LineageId, VersionId } from '../core/ids.js';
import type { JsonObject } from '../core/json.js';

/** A row of `dataset_version_files`: a path that a version puts, or removes. */
@Entity({ name: 'dataset_version_files' })
export class DatasetVersionFile {
  @PrimaryColumn({ name: 'version_id', type: 'integer' })
  versionId!: VersionId;

  @PrimaryColumn({ name: 'component_name', type: 'text' })
  componentName!: string;

  /** Null where the path is removed. */
  @Column({ name: 'file_id', type: 'integer', nullable: true })
  fileId!: FileId | null;

  @Column({ name: 'component_type', type: 'text' })
  componentType!: string;

  @Column({ name: 'component_index', type: 'integer', nullable: true })
  componentIndex!: number | null;

  @Column({ type: 'jsonb', nullable: true })
  metadata!: JsonObject | null;

  /** Where its version lies; null in a draft. */
  @Column({ name: 'lineage_id', type: 'integer', nullable: true })
  lineageId!: LineageId | null;

  @Column({ name: 'lineage_depth', type: 'integer', nullable: true })
  lineageDepth!: number | null;
}
