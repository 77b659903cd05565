import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import type { Server } from 'node:http';
import { AppModule, type AppOptions } from './app.module.js';
import { serveEventDescription } from './events/catalogue/asyncapi.js';
import { Draining } from './platform/health/draining.js';
import { serveApiDescription } from './platform/http/openapi.js';
import { RequestContext } from './platform/logging/request-context.js';
import { RequestLog } from './platform/logging/request-log.js';
import { ServerLogger } from './platform/logging/server-logger.js';
import { HttpMetrics } from './platform/metrics/http-metrics.js';

/** The HTTP application. */
export type HttpApplication = NestExpressApplication<Server>;

/** A connection on which nothing has moved for this long is cut, however long its transfer takes. */
const IDLE_CONNECTION_MS = 120_000;

/** Makes the HTTP application, which does not listen yet. */
export async function createServer(options: AppOptions): Promise<HttpApplication> {
  const app = await NestFactory.create<HttpApplication>(AppModule.register(options), {
    bodyParser: false,
    bufferLogs: true,
    abortOnError: false,
  });
  app.useLogger(app.get(ServerLogger));
  app.use(RequestContext.middleware);
  app.use(app.get(RequestLog).middleware);
  app.use(app.get(HttpMetrics).middleware);
  app.set('trust proxy', options.config.TRUSTED_PROXIES);
  configureApi(app);
  const server = app.getHttpServer();
  // A 10 GiB upload may take an hour: what ends a request is silence, not its length.
  server.requestTimeout = 0;
  server.setTimeout(IDLE_CONNECTION_MS);
  return app;
}

/** Gives the application its routes' prefix and the description of them. */
export function configureApi(app: HttpApplication): void {
  app.setGlobalPrefix('api/v1', { exclude: ['health/live', 'health/ready', 'metrics'] });
  app.disable('x-powered-by');
  app.set('query parser', 'simple');
  // ETags are digests of contents and versions here, never of a serialised answer.
  app.disable('etag');
  serveApiDescription(app);
  serveEventDescription(app);
}

/**
 * Stops taking connections, lets the running requests end, and closes; after `graceMs` what still
 * runs is cut off.
 */
export async function drain(app: HttpApplication, graceMs: number): Promise<void> {
  app.get(Draining, { strict: false }).begin();
  const server = app.getHttpServer();
  const ended = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  const cut = setTimeout(() => server.closeAllConnections(), graceMs);
  await ended;
  clearTimeout(cut);
  await app.close();
}
