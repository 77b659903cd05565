import type { DynamicModule } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import type { Server } from 'node:http';
import { serveEventDescription } from './events/catalogue/asyncapi.js';
import type { Config } from './platform/config/config.js';
import { Draining } from './platform/health/draining.js';
import { serveApiDescription, type ApiTitle } from './platform/http/openapi.js';
import { RequestContext } from './platform/logging/request-context.js';
import { RequestLog } from './platform/logging/request-log.js';
import { ServerLogger } from './platform/logging/server-logger.js';
import { HttpMetrics } from './platform/metrics/http-metrics.js';

/** The HTTP application. */
export type HttpApplication = NestExpressApplication<Server>;

/** What it is made with: its configuration, and the database that has been opened for it. */
export interface AppOptions {
  readonly config: Config;
  readonly databaseUrl: string;
}

/** A connection on which nothing has moved for this long is cut, however long its transfer takes. */
const IDLE_CONNECTION_MS = 120_000;

/** Makes an HTTP application of a composition root; it does not listen yet. */
export async function createApplication(
  root: DynamicModule,
  { config }: AppOptions,
  title: ApiTitle,
): Promise<HttpApplication> {
  const app = await NestFactory.create<HttpApplication>(root, {
    bodyParser: false,
    bufferLogs: true,
    abortOnError: false,
  });
  app.useLogger(app.get(ServerLogger));
  app.use(RequestContext.middleware);
  app.use(app.get(RequestLog).middleware);
  app.use(app.get(HttpMetrics).middleware);
  app.set('trust proxy', config.TRUSTED_PROXIES);
  configureApi(app, title);
  const server = app.getHttpServer();
  // A 10 GiB upload may take an hour: what ends a request is silence, not its length.
  server.requestTimeout = 0;
  server.setTimeout(IDLE_CONNECTION_MS);
  return app;
}

/** Gives the application its routes' prefix and the description of them. */
export function configureApi(app: HttpApplication, title: ApiTitle): void {
  app.setGlobalPrefix('api/v1', { exclude: ['health/live', 'health/ready', 'metrics'] });
  app.disable('x-powered-by');
  app.set('query parser', 'simple');
  // ETags are digests of contents and versions here, never of a serialised answer.
  app.disable('etag');
  serveApiDescription(app, title);
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
