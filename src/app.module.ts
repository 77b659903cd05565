import { type DynamicModule, Module } from '@nestjs/common';
import { AccessModule } from './access/access.module.js';
import { GrantsModule } from './access/grants.module.js';
import { AnalysisModule } from './analysis/analysis.module.js';
import { DatasetsModule } from './datasets/datasets.module.js';
import { EventsApiModule } from './events/events-api.module.js';
import { EventsModule } from './events/events.module.js';
import { WebhooksModule } from './events/webhooks/webhooks.module.js';
import type { AppOptions } from './http-application.js';
import { ConfigModule } from './platform/config/config.module.js';
import { DatabaseModule } from './platform/database/database.module.js';
import { HealthModule } from './platform/health/health.module.js';
import { HttpModule } from './platform/http/http.module.js';
import { JobsApiModule } from './platform/jobs/jobs-api.module.js';
import { JobsModule } from './platform/jobs/jobs.module.js';
import { LoggingModule } from './platform/logging/logging.module.js';
import { MetricsModule } from './platform/metrics/metrics.module.js';
import { SearchModule } from './search/search.module.js';
import { RecordsModule } from './records/records.module.js';
import { StorageApiModule } from './storage/storage-api.module.js';
import { StorageModule } from './storage/storage.module.js';
import { TabularModule } from './tabular/tabular.module.js';
import { VersioningModule } from './versioning/versioning.module.js';

/** The composition root: every slice, on one platform. */
@Module({})
export class AppModule {
  static register({ config, databaseUrl }: AppOptions): DynamicModule {
    return {
      module: AppModule,
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
        GrantsModule,
        JobsApiModule,
        EventsModule,
        EventsApiModule,
        WebhooksModule,
        StorageModule,
        StorageApiModule,
        RecordsModule,
        DatasetsModule,
        VersioningModule,
        SearchModule,
        TabularModule,
        AnalysisModule,
      ],
    };
  }
}
