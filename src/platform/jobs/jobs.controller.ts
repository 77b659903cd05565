import { Controller, Delete, Get, HttpCode, Param, Query } from '@nestjs/common';
import {
  ApiNoContentResponse,
  ApiOkResponse,
  ApiOperation,
  ApiParam,
  ApiPropertyOptional,
  ApiTags,
} from '@nestjs/swagger';
import { IsIn, IsOptional, IsString, MaxLength } from 'class-validator';
import type { JobId } from '../../core/ids.js';
import type { Principal } from '../../core/principal.js';
import { InvalidInput, NotFound, Unauthenticated } from '../../core/problems.js';
import { SignedIn } from '../http/access.decorators.js';
import { PageQuery, decodeCursor, pageOf, toPage, type Page } from '../http/paging.js';
import { CurrentPrincipal } from '../http/principal.decorator.js';
import { Problems } from '../http/problems.decorator.js';
import { JOB_STATES, JobView, type JobState } from './job.view.js';
import { JobEnded } from './jobs.problems.js';
import { JobsService } from './jobs.service.js';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

class JobQuery extends PageQuery {
  @ApiPropertyOptional({ enum: JOB_STATES })
  @IsOptional()
  @IsIn(JOB_STATES)
  state?: JobState;

  @ApiPropertyOptional({ type: String, maxLength: 100, example: 'storage.collect-garbage' })
  @IsOptional()
  @IsString()
  @MaxLength(100)
  kind?: string;
}

const parseJobId = {
  transform(text: string): JobId {
    if (UUID.test(text)) return text as JobId;
    const message = 'takes a UUID in lower case';
    throw new InvalidInput(`jobId ${message}.`, [{ at: 'jobId', message }]);
  },
};

const isSequenceNumber = (value: unknown): value is number =>
  Number.isSafeInteger(value) && Number(value) > 0;

@ApiTags('jobs')
@Controller({ path: 'jobs' })
export class JobsController {
  constructor(private readonly jobs: JobsService) {}

  @Get()
  @SignedIn()
  @ApiOperation({
    operationId: 'listJobs',
    summary: 'List jobs, the newest first',
    description: 'Your own; for administrators everybody’s, and the server’s.',
  })
  @ApiOkResponse({ type: pageOf(JobView) })
  @Problems(InvalidInput, Unauthenticated)
  async list(
    @CurrentPrincipal() principal: Principal,
    @Query() query: JobQuery,
  ): Promise<Page<JobView>> {
    const { limit, cursor, state, kind } = query;
    const before = cursor === undefined ? null : decodeCursor(cursor, isSequenceNumber);
    const rows = await this.jobs.list(principal, {
      before,
      limit: limit + 1,
      ...(state !== undefined && { state }),
      ...(kind !== undefined && { kind }),
    });
    return toPage(rows, limit, ({ seq }) => seq, JobView.of);
  }

  @Get(':jobId')
  @SignedIn()
  @ApiParam({ name: 'jobId', schema: { type: 'string', format: 'uuid' } })
  @ApiOperation({ operationId: 'getJob', summary: 'Get a job' })
  @ApiOkResponse({ type: JobView })
  @Problems(InvalidInput, Unauthenticated, NotFound)
  async get(
    @CurrentPrincipal() principal: Principal,
    @Param('jobId', parseJobId) id: JobId,
  ): Promise<JobView> {
    return JobView.of(await this.jobs.get(principal, id));
  }

  @Delete(':jobId')
  @SignedIn()
  @HttpCode(204)
  @ApiParam({ name: 'jobId', schema: { type: 'string', format: 'uuid' } })
  @ApiOperation({
    operationId: 'cancelJob',
    summary: 'Cancel a job',
    description: 'It stays in the list, as cancelled. What a running job has done so far may stay.',
  })
  @ApiNoContentResponse()
  @Problems(InvalidInput, Unauthenticated, NotFound, JobEnded)
  cancel(
    @CurrentPrincipal() principal: Principal,
    @Param('jobId', parseJobId) id: JobId,
  ): Promise<void> {
    return this.jobs.cancel(principal, id);
  }
}
