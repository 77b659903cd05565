import { Global, Module } from '@nestjs/common';
import { JOB_QUEUE } from '../../core/contracts/job-queue.js';
import { bind } from '../../core/token.js';
import { GraphileJobQueue } from './graphile-job-queue.js';
import { JobFailures } from './job-failures.js';
import { JobRunner } from './job-runner.js';
import { JobsService } from './jobs.service.js';

/** Work that outlives a request. */
@Global()
@Module({
  providers: [
    GraphileJobQueue,
    JobFailures,
    JobRunner,
    JobsService,
    bind(JOB_QUEUE, GraphileJobQueue),
  ],
  exports: [JOB_QUEUE, JobsService],
})
export class JobsModule {}
