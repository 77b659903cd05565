import { Global, Module } from '@nestjs/common';
import { Draining } from './draining.js';
import { HealthChecks } from './health-checks.js';
import { HealthController } from './health.controller.js';

/** Whether the server is well, and whether it is about to stop. */
@Global()
@Module({
  controllers: [HealthController],
  providers: [Draining, HealthChecks],
  exports: [Draining, HealthChecks],
})
export class HealthModule {}
