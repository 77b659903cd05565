import { Global, Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { DATASET_VERIFICATION } from '../core/contracts/dataset-verification.js';
import { VERSION_CHECK } from '../core/contracts/version-check.js';
import { VERSION_READER, VERSION_WRITER } from '../core/contracts/versions.js';
import { bind } from '../core/token.js';
import { Branches } from './branches.js';
import { BranchesController } from './branches.controller.js';
import { ChecksController } from './checks.controller.js';
import { Checks } from './checks.js';
import { Commits } from './commits.js';
import { Compare } from './compare.js';
import { ContentAccess } from './content-access.js';
import { DatasetChecks } from './dataset-checks.js';
import { DatasetLimits } from './dataset-limits.js';
import { Deletions } from './deletions.js';
import { DraftArchives } from './draft-archives.js';
import { DraftCommits } from './draft-commits.js';
import { DraftExpiry } from './draft-expiry.js';
import { DraftsController } from './drafts.controller.js';
import { Drafts } from './drafts.js';
import { FastForwards } from './fast-forwards.js';
import { History } from './history.js';
import { DatasetLineage } from './lineage.entity.js';
import { Lineages } from './lineages.js';
import { OverlayDocuments } from './overlay-documents.js';
import { MergesController } from './merges.controller.js';
import { Merges } from './merges.js';
import { DatasetPointer } from './pointer.entity.js';
import { Refs } from './refs.js';
import { PurgesController } from './purges.controller.js';
import { Purges } from './purges.js';
import { Removals } from './removals.js';
import { RetentionController } from './retention.controller.js';
import { RetentionJobs } from './retention-jobs.js';
import { RetentionPreviews } from './retention-preview.js';
import { Retention } from './retention.js';
import { RefContentsController } from './ref-contents.controller.js';
import { RefsController } from './refs.controller.js';
import { Sweep } from './sweep.js';
import { TombstoneVerification } from './tombstone-verification.js';
import { VerificationJobs } from './verification-jobs.js';
import { ChainVerification } from './verification.js';
import { VersionContents } from './version-contents.js';
import { DatasetVersionFile } from './version-file.entity.js';
import { VersionLog } from './version-log.js';
import { SqlVersionReader } from './version-reader.js';
import { VersionTree } from './version-tree.js';
import { SqlVersionWriter } from './version-writer.js';
import { DatasetVersion } from './version.entity.js';
import { VersionsController } from './versions.controller.js';
import { VersionsService } from './versions.service.js';

/** Versions: overlays on lineages, the refs that name them, and what they hold. */
@Global()
@Module({
  imports: [
    TypeOrmModule.forFeature([DatasetVersion, DatasetVersionFile, DatasetLineage, DatasetPointer]),
  ],
  controllers: [
    VersionsController,
    RefsController,
    RefContentsController,
    BranchesController,
    DraftsController,
    MergesController,
    ChecksController,
    PurgesController,
    RetentionController,
  ],
  providers: [
    Branches,
    ChainVerification,
    Checks,
    Commits,
    Compare,
    ContentAccess,
    DatasetChecks,
    DatasetLimits,
    Deletions,
    DraftArchives,
    DraftCommits,
    DraftExpiry,
    Drafts,
    FastForwards,
    History,
    Lineages,
    OverlayDocuments,
    Merges,
    Refs,
    Purges,
    Removals,
    Retention,
    RetentionJobs,
    RetentionPreviews,
    Sweep,
    TombstoneVerification,
    VerificationJobs,
    VersionContents,
    VersionLog,
    VersionsService,
    VersionTree,
    SqlVersionReader,
    SqlVersionWriter,
    bind(DATASET_VERIFICATION, VerificationJobs),
    bind(VERSION_CHECK, Checks),
    bind(VERSION_READER, SqlVersionReader),
    bind(VERSION_WRITER, SqlVersionWriter),
  ],
  exports: [DATASET_VERIFICATION, VERSION_CHECK, VERSION_READER, VERSION_WRITER],
})
export class VersioningModule {}
