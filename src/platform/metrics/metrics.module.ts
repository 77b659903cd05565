import { Global, Module } from '@nestjs/common';
import { HttpMetrics } from './http-metrics.js';
import { MetricsController } from './metrics.controller.js';
import { Metrics } from './metrics.js';
import { PoolMetrics } from './pool-metrics.js';

@Global()
@Module({
  controllers: [MetricsController],
  providers: [Metrics, HttpMetrics, PoolMetrics],
  exports: [Metrics],
})
export class MetricsModule {}
