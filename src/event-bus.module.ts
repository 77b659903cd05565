import { Module, type DynamicModule } from '@nestjs/common';
import { AccessModule } from './access/access.module.js';
import { EvaluationModule } from './evaluation/evaluation.module.js';
import { EventsApiModule } from './events/events-api.module.js';
import { EventsModule } from './events/events.module.js';
import { WebhooksModule } from './events/webhooks/webhooks.module.js';
import type { AppOptions } from './http-application.js';
import { MonitoringModule } from './monitoring/monitoring.module.js';
import { ConfigModule } from './platform/config/config.module.js';
import { DatabaseModule } from './platform/database/database.module.js';
import { HealthModule } from './platform/health/health.module.js';
import { HttpModule } from './platform/http/http.module.js';
import { JobsModule } from './platform/jobs/jobs.module.js';
import { LoggingModule } from './platform/logging/logging.module.js';
import { MetricsModule } from './platform/metrics/metrics.module.js';
import { QueueModule } from './queue/queue.module.js';
import { StorageModule } from './storage/storage.module.js';

/**
 * The composition root of the event bus as a service of its own: the bus, who may use it, and the
 * families of events that are handled beside it.
 */
@Module({})
export class EventBusModule {
  static register({ config, databaseUrl }: AppOptions): DynamicModule {
    return {
      module: EventBusModule,
      imports: [
        ConfigModule.register(config),
        LoggingModule.register(config),
        MetricsModule,
        DatabaseModule.register({ url: databaseUrl, poolSize: config.DATABASE_POOL_SIZE }),
        JobsModule,
        HealthModule,
        // Before HTTP: nothing of a body is read until the guard has let its sender in.
        AccessModule,
        HttpModule,
        EventsModule,
        EventsApiModule,
        WebhooksModule,
        StorageModule,
        EvaluationModule,
        QueueModule,
        MonitoringModule,
      ],
    };
  }
}
