import { Module } from '@nestjs/common';
import { CollectionController } from './collection/collection.controller.js';
import { CollectionPreview } from './collection/collection-preview.js';
import { DatasetRelease } from './collection/dataset-release.js';
import { ContentController } from './download/content.controller.js';
import { FilesController } from './files.controller.js';
import { FilesService } from './files.service.js';
import { QuotasController } from './quotas/quotas.controller.js';
import { VerificationController } from './verification/verification.controller.js';
import { VerificationService } from './verification/verification.service.js';

/** What is asked of the storage over HTTP, and what datasets need of it. */
@Module({
  controllers: [
    FilesController,
    ContentController,
    CollectionController,
    VerificationController,
    QuotasController,
  ],
  providers: [CollectionPreview, DatasetRelease, FilesService, VerificationService],
})
export class StorageApiModule {}
