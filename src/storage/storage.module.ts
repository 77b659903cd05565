import { Global, Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { ARTIFACT_PRODUCER } from '../core/contracts/artifact-producer.js';
import {
  CONTENT_DISPOSAL,
  CONTENT_RESPONDER,
  FILE_CATALOG,
} from '../core/contracts/file-catalog.js';
import { STORAGE_QUOTAS } from '../core/contracts/storage-quotas.js';
import { UPLOAD_RECEIVER } from '../core/contracts/staged-upload.js';
import { STORAGE_BACKEND, type StorageBackend } from '../core/contracts/storage-backend.js';
import { bind, bindFactory } from '../core/token.js';
import { CONFIG, type Config } from '../platform/config/config.js';
import { StreamArtifactProducer } from './artifact/artifact.producer.js';
import { createStorageBackend } from './backend/backend.factory.js';
import { SqlContentDisposal } from './catalog/content-disposal.js';
import { SqlFileCatalog } from './catalog/file-catalog.js';
import { CollectionService } from './collection/collection.service.js';
import { Collector } from './collection/collector.js';
import { ExpiredHolds } from './collection/expired-holds.js';
import { ObjectDeletions } from './collection/object-deletions.js';
import { OrphanSweep } from './collection/orphan-sweep.js';
import { UnreferencedFiles } from './collection/unreferenced-files.js';
import { ContentLookup } from './download/content-lookup.js';
import { StoredContentResponder } from './download/content-responder.js';
import { DownloadBuffers } from './download/download-buffers.js';
import { OpenObjects } from './download/open-objects.js';
import { FileEntity } from './file.entity.js';
import { QuotasService } from './quotas/quotas.service.js';
import { SqlStorageQuotas } from './quotas/sql-storage-quotas.js';
import { HttpUploadReceiver } from './upload/upload-receiver.js';
import { UploadHoldEntity } from './upload-hold.entity.js';

/** Bytes: their way in and out, where they lie, and what becomes of those that nobody needs. */
@Global()
@Module({
  imports: [TypeOrmModule.forFeature([FileEntity, UploadHoldEntity])],
  providers: [
    bindFactory(STORAGE_BACKEND, {
      useFactory: (config: Config) => createStorageBackend(config.STORAGE_URL, config),
      inject: [CONFIG],
    }),
    StreamArtifactProducer,
    bind(ARTIFACT_PRODUCER, StreamArtifactProducer),
    HttpUploadReceiver,
    bind(UPLOAD_RECEIVER, HttpUploadReceiver),
    SqlFileCatalog,
    bind(FILE_CATALOG, SqlFileCatalog),
    SqlContentDisposal,
    bind(CONTENT_DISPOSAL, SqlContentDisposal),
    SqlStorageQuotas,
    bind(STORAGE_QUOTAS, SqlStorageQuotas),
    QuotasService,
    ContentLookup,
    { provide: DownloadBuffers, useFactory: () => new DownloadBuffers() },
    {
      provide: OpenObjects,
      useFactory: (backend: StorageBackend) => new OpenObjects(backend),
      inject: [STORAGE_BACKEND],
    },
    StoredContentResponder,
    bind(CONTENT_RESPONDER, StoredContentResponder),
    ExpiredHolds,
    UnreferencedFiles,
    OrphanSweep,
    ObjectDeletions,
    Collector,
    CollectionService,
  ],
  exports: [
    STORAGE_BACKEND,
    ARTIFACT_PRODUCER,
    UPLOAD_RECEIVER,
    FILE_CATALOG,
    CONTENT_DISPOSAL,
    CONTENT_RESPONDER,
    STORAGE_QUOTAS,
    // For the storage's own API.
    CollectionService,
    OrphanSweep,
    QuotasService,
    StreamArtifactProducer,
  ],
})
export class StorageModule {}
