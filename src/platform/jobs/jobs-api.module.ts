import { Module } from '@nestjs/common';
import { JobsController } from './jobs.controller.js';

/** What users see of their jobs. */
@Module({ controllers: [JobsController] })
export class JobsApiModule {}
