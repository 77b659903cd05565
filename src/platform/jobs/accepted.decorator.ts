import { HttpCode, applyDecorators } from '@nestjs/common';
import { ApiAcceptedResponse } from '@nestjs/swagger';
import { JobView } from './job.view.js';

/** Documents an operation that answers 202 with a job; see `JobsService.accepted`. */
export const AcceptsJob = () =>
  applyDecorators(
    HttpCode(202),
    ApiAcceptedResponse({
      type: JobView,
      description: 'The work goes on as a job.',
      headers: { Location: { description: 'The job.', schema: { type: 'string' } } },
    }),
  );
