import { type DynamicModule, Global, Module } from '@nestjs/common';
import { AccessModule } from './access/access.module.js';
import { AnalysisModule } from './analysis/analysis.module.js';
import { DatasetsModule } from './datasets/datasets.module.js';
import { EventsApiModule } from './events/events-api.module.js';
import { EventsModule } from './events/events.module.js';
import { WebhooksModule } from './events/webhooks/webhooks.module.js';
import { CONFIG, type Config } from './platform/config/config.js';
import { DatabaseModule } from './platform/database/database.module.js';
import { HealthModule } from './platform/health/health.module.js';
import { HttpModule } from './platform/http/http.module.js';
import { JobsModule } from './platform/jobs/jobs.module.js';
import { LoggingModule } from './platform/logging/logging.module.js';
import { MetricsModule } from './platform/metrics/metrics.module.js';
import { SearchModule } from './search/search.module.js';
import { RecordsModule } from './records/records.module.js';
import { StorageModule } from './storage/storage.module.js';
import { TabularModule } from './tabular/tabular.module.js';
import { VersioningModule } from './versioning/versioning.module.js';

/** What the server is made with: its configuration, and the database that has been opened for it. */
export interface AppOptions {
  readonly config: Config;
  readonly databaseUrl: string;
}

@Global()
@Module({})
class ConfigModule {
  static register(config: Config): DynamicModule {
    return {
      module: ConfigModule,
      providers: [{ provide: CONFIG, useValue: config }],
      exports: [CONFIG],
    };
  }
}

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
        EventsModule,
        EventsApiModule,
        WebhooksModule,
        StorageModule,
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
