import { Body, Controller, Post, Res } from '@nestjs/common';
import { ApiBody, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Response } from 'express';
import type { DatasetId } from '../core/ids.js';
import type { Principal } from '../core/principal.js';
import { Forbidden, InvalidInput, NotFound, Unauthenticated } from '../core/problems.js';
import { OnDataset } from '../platform/http/access.decorators.js';
import { IdParam } from '../platform/http/id-param.decorator.js';
import { CurrentPrincipal } from '../platform/http/principal.decorator.js';
import { Problems } from '../platform/http/problems.decorator.js';
import { AcceptsJob } from '../platform/jobs/accepted.decorator.js';
import type { JobView } from '../platform/jobs/job.view.js';
import { JobsService } from '../platform/jobs/jobs.service.js';
import { AnalysisJobs } from './analysis-jobs.js';
import { ANALYSIS_SCHEMA, SAMPLE_SCHEMA } from './orders.schema.js';
import { parseAnalysisOrder, parseSampleOrder } from './orders.js';

const JOB =
  'Its result names the file (`fileId`, `sha256`), which is kept for the caller like an upload, and the version where it was committed. `GET /jobs/{jobId}` follows it, `DELETE` cancels it, `GET /jobs?kind=` lists them.';

/** Files that are made of tables. */
@ApiTags('analysis')
@Controller({ path: 'datasets/:datasetId' })
export class AnalysesController {
  constructor(
    private readonly analyses: AnalysisJobs,
    private readonly jobs: JobsService,
  ) {}

  @Post('samples')
  @OnDataset('read')
  @AcceptsJob()
  @ApiOperation({
    operationId: 'createSample',
    summary: 'Make a sample of tables',
    description: `A job of kind \`analysis.sample\`. The same seed chooses the same rows of the same version. ${JOB}`,
  })
  @ApiBody({ schema: SAMPLE_SCHEMA })
  @Problems(InvalidInput, Unauthenticated, Forbidden, NotFound)
  async sample(
    @CurrentPrincipal() principal: Principal,
    @IdParam('datasetId') dataset: DatasetId,
    @Body() body: unknown,
    @Res({ passthrough: true }) res: Response,
  ): Promise<JobView> {
    const order = parseSampleOrder(body);
    const job = await this.analyses.startSample(principal, dataset, order);
    return this.jobs.accepted(res, principal, job);
  }

  @Post('analyses')
  @OnDataset('read')
  @AcceptsJob()
  @ApiOperation({
    operationId: 'createAnalysis',
    summary: 'Analyse a table',
    description: `A job of kind \`analysis.analysis\`: a profile, a correlation matrix or a report on the data's quality as JSON; the difference of two versions row by row, or the result of a SELECT, as a table. ${JOB}`,
  })
  @ApiBody({ schema: ANALYSIS_SCHEMA })
  @Problems(InvalidInput, Unauthenticated, Forbidden, NotFound)
  async analyse(
    @CurrentPrincipal() principal: Principal,
    @IdParam('datasetId') dataset: DatasetId,
    @Body() body: unknown,
    @Res({ passthrough: true }) res: Response,
  ): Promise<JobView> {
    const order = parseAnalysisOrder(body);
    const job = await this.analyses.startAnalysis(principal, dataset, order);
    return this.jobs.accepted(res, principal, job);
  }
}
