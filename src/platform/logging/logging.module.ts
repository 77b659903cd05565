import { type DynamicModule, Module } from '@nestjs/common';
import { LoggerModule } from 'nestjs-pino';
import type { Config } from '../config/config.js';
import { RequestContext } from './request-context.js';
import { RequestLog } from './request-log.js';
import { ServerLogger } from './server-logger.js';

/** JSON lines on standard output, each with the id of the request that it belongs to. */
@Module({})
export class LoggingModule {
  static register(config: Config): DynamicModule {
    return {
      module: LoggingModule,
      providers: [RequestLog, ServerLogger],
      imports: [
        LoggerModule.forRoot({
          pinoHttp: {
            level: config.LOG_LEVEL,
            mixin: () => {
              const requestId = RequestContext.requestId();
              return requestId ? { requestId } : {};
            },
          },
          // None of pino-http's middleware: `RequestLog` is instead of it.
          forRoutes: [],
        }),
      ],
    };
  }
}
