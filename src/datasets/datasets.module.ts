import { Global, Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { DATASET_REPOSITORY } from '../core/contracts/dataset-repository.js';
import { bind } from '../core/token.js';
import { DatasetExport } from './dataset-export.js';
import { DatasetImport } from './dataset-import.js';
import { DatasetTag } from './dataset-tag.entity.js';
import { DatasetTransferController } from './dataset-transfer.controller.js';
import { Dataset } from './dataset.entity.js';
import { DatasetsController } from './datasets.controller.js';
import { DatasetsRepository } from './datasets.repository.js';
import { DatasetsService } from './datasets.service.js';

/** Datasets: what they are called and filed under, who owns them, and their way in and out as a document. */
@Global()
@Module({
  imports: [TypeOrmModule.forFeature([Dataset, DatasetTag])],
  controllers: [DatasetTransferController, DatasetsController],
  providers: [
    DatasetsRepository,
    DatasetsService,
    DatasetExport,
    DatasetImport,
    bind(DATASET_REPOSITORY, DatasetsRepository),
  ],
  exports: [DATASET_REPOSITORY],
})
export class DatasetsModule {}
