import { Module } from '@nestjs/common';
import { APP_FILTER, APP_GUARD, APP_INTERCEPTOR, APP_PIPE } from '@nestjs/core';
import { BodyGuard } from './body.js';
import { IdempotencyInterceptor } from './idempotency.js';
import { ProblemFilter } from './problem.filter.js';
import { StagedUploadGuard } from './staged-upload.js';
import { validationPipe } from './validation.js';

/** What every operation has: one way to read a body, to check input and to answer a problem. */
@Module({
  providers: [
    { provide: APP_FILTER, useClass: ProblemFilter },
    { provide: APP_PIPE, useFactory: validationPipe },
    // Before every interceptor: no transaction of an Idempotency-Key waits for a body.
    { provide: APP_GUARD, useClass: BodyGuard },
    { provide: APP_GUARD, useClass: StagedUploadGuard },
    { provide: APP_INTERCEPTOR, useClass: IdempotencyInterceptor },
  ],
})
export class HttpModule {}
