import { Entity, PrimaryColumn } from 'typeorm';
import type { DatasetId } from '../core/ids.js';

/** A row of `dataset_tags`: a category that a dataset is filed under. */
@Entity({ name: 'dataset_tags' })
export class DatasetTag {
  @PrimaryColumn({ name: 'dataset_id', type: 'integer' })
  datasetId!: DatasetId;

  @PrimaryColumn({ name: 'tag_name', type: 'text' })
  tagName!: string;
}
