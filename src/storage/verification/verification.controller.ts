import { Body, Controller, Post, Res } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Response } from 'express';
import { Forbidden, InvalidInput, Unauthenticated } from '../../core/problems.js';
import type { Principal } from '../../core/principal.js';
import { AdminOnly } from '../../platform/http/access.decorators.js';
import { CurrentPrincipal } from '../../platform/http/principal.decorator.js';
import { Problems } from '../../platform/http/problems.decorator.js';
import { AcceptsJob } from '../../platform/jobs/accepted.decorator.js';
import type { JobView } from '../../platform/jobs/job.view.js';
import { JobsService } from '../../platform/jobs/jobs.service.js';
import { StartVerificationDto } from './verification.dto.js';
import { VerificationService } from './verification.service.js';

@ApiTags('administration')
@Controller({ path: 'admin/verify' })
export class VerificationController {
  constructor(
    private readonly verification: VerificationService,
    private readonly jobs: JobsService,
  ) {}

  @Post()
  @AdminOnly()
  @AcceptsJob()
  @ApiOperation({
    operationId: 'verifyStorage',
    summary: 'Verify the storage',
    description:
      'Counts references anew and compares stored bytes with their digests. The finished job’s ' +
      '`result` tells what is wrong; files with wrong bytes are marked as damaged until the same ' +
      'content is uploaded again.',
  })
  @Problems(InvalidInput, Unauthenticated, Forbidden)
  async start(
    @CurrentPrincipal() principal: Principal,
    @Body() options: StartVerificationDto,
    @Res({ passthrough: true }) res: Response,
  ): Promise<JobView> {
    const job = await this.verification.start(principal.userId, options);
    return this.jobs.accepted(res, principal, job);
  }
}
