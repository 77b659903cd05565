import { Body, Controller, Inject, Post, Query, Res } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Response } from 'express';
import {
  DATASET_VERIFICATION,
  type DatasetVerification,
} from '../../core/contracts/dataset-verification.js';
import type { DatasetId } from '../../core/ids.js';
import { Forbidden, InvalidInput, NotFound, Unauthenticated } from '../../core/problems.js';
import type { Principal } from '../../core/principal.js';
import { AdminOnly } from '../../platform/http/access.decorators.js';
import { CurrentPrincipal } from '../../platform/http/principal.decorator.js';
import { Problems } from '../../platform/http/problems.decorator.js';
import { AcceptsJob } from '../../platform/jobs/accepted.decorator.js';
import type { JobView } from '../../platform/jobs/job.view.js';
import { JobsService } from '../../platform/jobs/jobs.service.js';
import { StartVerificationDto, VerificationQuery } from './verification.dto.js';
import { VerificationService } from './verification.service.js';

@ApiTags('administration')
@Controller({ path: 'admin/verify' })
export class VerificationController {
  constructor(
    private readonly verification: VerificationService,
    @Inject(DATASET_VERIFICATION) private readonly datasets: DatasetVerification,
    private readonly jobs: JobsService,
  ) {}

  @Post()
  @AdminOnly()
  @AcceptsJob()
  @ApiOperation({
    operationId: 'verifyStorage',
    summary: 'Verify the storage, or a dataset’s history',
    description:
      'Counts references anew and compares stored bytes with their digests. The finished job’s ' +
      '`result` tells what is wrong; files with wrong bytes are marked as damaged until the same ' +
      'content is uploaded again. With `dataset`, walks that dataset’s chain of digests instead: ' +
      '`result` is `{datasetId, verifiedVersions, firstFault}`, and `firstFault` names the first ' +
      'version that was tampered with, or is null.',
  })
  @Problems(InvalidInput, Unauthenticated, Forbidden, NotFound)
  async start(
    @CurrentPrincipal() principal: Principal,
    @Query() { dataset }: VerificationQuery,
    @Body() options: StartVerificationDto,
    @Res({ passthrough: true }) res: Response,
  ): Promise<JobView> {
    const job =
      dataset === undefined
        ? await this.verification.start(principal.userId, options)
        : await this.datasets.start(principal.userId, dataset as DatasetId);
    return this.jobs.accepted(res, principal, job);
  }
}
