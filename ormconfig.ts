import { DataSource } from 'typeorm';
import { MIGRATIONS } from './migrations/index.js';
import { ApiKeyEntity } from './src/access/api-key.entity.js';
import { UserEntity } from './src/access/user.entity.js';
import { DatasetTag } from './src/datasets/dataset-tag.entity.js';
import { Dataset } from './src/datasets/dataset.entity.js';
import { FileEntity } from './src/storage/file.entity.js';
import { UploadHoldEntity } from './src/storage/upload-hold.entity.js';
import { DatasetLineage } from './src/versioning/lineage.entity.js';
import { DatasetPointer } from './src/versioning/pointer.entity.js';
import { DatasetVersionFile } from './src/versioning/version-file.entity.js';
import { DatasetVersion } from './src/versioning/version.entity.js';

/** Every entity class; each slice adds its own. */
export const ENTITIES = [
  UserEntity,
  ApiKeyEntity,
  Dataset,
  DatasetTag,
  FileEntity,
  UploadHoldEntity,
  DatasetVersion,
  DatasetVersionFile,
  DatasetLineage,
  DatasetPointer,
];

/** The data source of TypeORM's command line: `DATABASE_URL=… typeorm -d dist/ormconfig.js …`. */
export default new DataSource({
  type: 'postgres',
  url: process.env['DATABASE_URL'],
  entities: ENTITIES,
  migrations: MIGRATIONS,
  synchronize: false,
  uuidExtension: 'pgcrypto',
});
