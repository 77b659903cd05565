import { Controller, HttpCode, Inject, Post } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiProperty, ApiTags } from '@nestjs/swagger';
import {
  DATASET_REPOSITORY,
  type DatasetRepository,
} from '../core/contracts/dataset-repository.js';
import { UNIT_OF_WORK, type UnitOfWork } from '../core/contracts/unit-of-work.js';
import type { DatasetId } from '../core/ids.js';
import { Forbidden, InvalidInput, NotFound, Unauthenticated } from '../core/problems.js';
import { AdminOnly } from '../platform/http/access.decorators.js';
import { IdParam } from '../platform/http/id-param.decorator.js';
import { Problems } from '../platform/http/problems.decorator.js';
import { ChainVerification, type ChainFault, type ChainReport } from './verification.js';

const FAULTS: ChainFault[] = ['document-unreadable', 'document-altered', 'version-altered'];

class ChainFaultView {
  @ApiProperty({ type: 'integer', example: 3 })
  versionNumber!: number;

  @ApiProperty({ enum: FAULTS, example: 'version-altered' })
  fault!: ChainFault;
}

class ChainReportView {
  @ApiProperty({ type: 'integer', example: 12 })
  datasetId!: number;

  @ApiProperty({
    type: 'integer',
    description: 'How many versions, from the first on, are as their digests say.',
    example: 41,
  })
  verifiedVersions!: number;

  @ApiProperty({
    type: ChainFaultView,
    nullable: true,
    description: 'The first version that is not as its digest says; null where all are.',
  })
  firstFault!: ChainFaultView | null;
}

@ApiTags('admin')
@Controller({ path: 'admin/verify/datasets' })
export class VerificationController {
  constructor(
    private readonly verification: ChainVerification,
    @Inject(DATASET_REPOSITORY) private readonly datasets: DatasetRepository,
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
  ) {}

  @Post(':datasetId')
  @AdminOnly()
  @HttpCode(200)
  @ApiOperation({
    operationId: 'verifyDatasetChain',
    summary: 'Prove a dataset’s history against its digests',
    description:
      'Hashes every stored overlay document, and writes it anew from what the database says.',
  })
  @ApiOkResponse({ type: ChainReportView })
  @Problems(InvalidInput, Unauthenticated, Forbidden, NotFound)
  async verify(@IdParam('datasetId') dataset: DatasetId): Promise<ChainReport> {
    await this.unitOfWork.read((tx) => this.datasets.get(tx, dataset));
    return this.verification.verify(dataset);
  }
}
