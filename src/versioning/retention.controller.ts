import { Body, Controller, Delete, Get, HttpCode, Inject, Post, Put, Res } from '@nestjs/common';
import { ApiNoContentResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Response } from 'express';
import { UNIT_OF_WORK, type UnitOfWork } from '../core/contracts/unit-of-work.js';
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
import { RetentionJobs } from './retention-jobs.js';
import { RetentionRulesDto, RetentionRunDto, RetentionView } from './retention.dto.js';
import { Retention } from './retention.js';

@ApiTags('retention')
@Controller({ path: 'datasets/:datasetId/retention' })
export class RetentionController {
  constructor(
    private readonly retention: Retention,
    private readonly runs: RetentionJobs,
    private readonly jobs: JobsService,
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
  ) {}

  @Get()
  @OnDataset('read')
  @ApiOperation({ operationId: 'getRetention', summary: 'Which versions the dataset keeps' })
  @ApiOkResponse({ type: RetentionView })
  @Problems(InvalidInput, Unauthenticated, NotFound)
  async get(@IdParam('datasetId') dataset: DatasetId): Promise<RetentionView> {
    const rules = await this.unitOfWork.read((tx) => this.retention.rules(tx, dataset));
    return RetentionView.of(rules);
  }

  @Put()
  @OnDataset('admin')
  @ApiOperation({
    operationId: 'setRetention',
    summary: 'Set which versions the dataset keeps',
    description:
      'Kept are the last `keepLast` of each branch, whatever is younger than `keepYoungerThan`, everything tagged, what drafts start from, the branches that were deleted lately, and the merge bases of all these. The rest is removed when the schedule comes to it, or on request: its number answers 410 from then on, and what no kept version holds is freed. Kept versions stay as they are.',
  })
  @ApiOkResponse({ type: RetentionView })
  @Problems(InvalidInput, Unauthenticated, Forbidden, NotFound)
  async set(
    @CurrentPrincipal() principal: Principal,
    @IdParam('datasetId') dataset: DatasetId,
    @Body() rules: RetentionRulesDto,
  ): Promise<RetentionView> {
    return this.unitOfWork.run(async (tx) => {
      await this.retention.setRules(
        tx,
        dataset,
        principal.userId,
        RetentionRulesDto.toRules(rules),
      );
      return RetentionView.of(await this.retention.rules(tx, dataset));
    });
  }

  @Delete()
  @OnDataset('admin')
  @HttpCode(204)
  @ApiOperation({ operationId: 'deleteRetention', summary: 'Keep every version from now on' })
  @ApiNoContentResponse()
  @Problems(InvalidInput, Unauthenticated, Forbidden, NotFound)
  async delete(@IdParam('datasetId') dataset: DatasetId): Promise<void> {
    await this.unitOfWork.run((tx) => this.retention.dropRules(tx, dataset));
  }

  @Post('runs')
  @OnDataset('admin')
  @AcceptsJob()
  @ApiOperation({
    operationId: 'runRetention',
    summary: 'Remove what the rules let go, or tell what that would be',
    description:
      'A job. In a dry run its `result` is `{versionCount, versions, pathCount, paths, bytes}`, with the first 1,000 versions and paths; else `{removedVersions, swept: {entries, files, bytes}}`. What versions held is swept once `REMOVAL_GRACE` has passed.',
  })
  @Problems(InvalidInput, Unauthenticated, Forbidden, NotFound)
  async run(
    @CurrentPrincipal() principal: Principal,
    @IdParam('datasetId') dataset: DatasetId,
    @Body() { dryRun = false, rules }: RetentionRunDto,
    @Res({ passthrough: true }) res: Response,
  ): Promise<JobView> {
    if (rules && !dryRun) {
      const message = 'is only for a dry run; set the rules first';
      throw new InvalidInput(`rules ${message}.`, [{ at: 'rules', message }]);
    }
    const { userId } = principal;
    const job = dryRun
      ? await this.runs.startPreview(userId, dataset, rules && RetentionRulesDto.toRules(rules))
      : await this.runs.start(userId, dataset);
    return this.jobs.accepted(res, principal, job);
  }
}
