import { Global, Module, type ModuleMetadata, type Type } from '@nestjs/common';
import { APP_FILTER, APP_GUARD, APP_PIPE } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { Test } from '@nestjs/testing';
import type { AddressInfo } from 'node:net';
import { CONFIG, readConfig, type Config } from '../../src/platform/config/config.js';
import { DatabaseModule } from '../../src/platform/database/database.module.js';
import { BodyGuard } from '../../src/platform/http/body.js';
import { ProblemFilter } from '../../src/platform/http/problem.filter.js';
import { validationPipe } from '../../src/platform/http/validation.js';
import { MetricsModule } from '../../src/platform/metrics/metrics.module.js';

/** Some modules on the platform's database and HTTP layer, without the rest of the server. */
export interface BareApp {
  readonly app: NestExpressApplication;
  /** Where it listens; every path begins here, without a prefix. */
  readonly url: string;
}

/** Starts modules on a migrated database. Close `app` before the database is dropped. */
export async function bareApp(
  databaseUrl: string,
  modules: NonNullable<ModuleMetadata['imports']>,
  options: { controllers?: Type<object>[]; config?: Partial<Config> } = {},
): Promise<BareApp> {
  const config: Config = { ...readConfig({}), ...options.config };

  @Global()
  @Module({ providers: [{ provide: CONFIG, useValue: config }], exports: [CONFIG] })
  class ConfigModule {}

  // A module of its own, the last: guards run in the order in which Nest finds them.
  @Module({ providers: [{ provide: APP_GUARD, useClass: BodyGuard }] })
  class BodyModule {}

  const testing = await Test.createTestingModule({
    imports: [
      ConfigModule,
      MetricsModule,
      DatabaseModule.register({ url: databaseUrl, poolSize: 10 }),
      ...modules,
      BodyModule,
    ],
    controllers: options.controllers ?? [],
    providers: [
      { provide: APP_FILTER, useClass: ProblemFilter },
      { provide: APP_PIPE, useFactory: validationPipe },
    ],
  }).compile();
  const app = testing.createNestApplication<NestExpressApplication>({
    bodyParser: false,
    logger: false,
  });
  await app.listen(0, '127.0.0.1');
  const { port } = app.getHttpServer().address() as AddressInfo;
  return { app, url: `http://127.0.0.1:${port}` };
}
