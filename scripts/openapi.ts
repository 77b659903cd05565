import type { DynamicModule } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { AppModule } from '../src/app.module.js';
import { EventBusModule } from '../src/event-bus.module.js';
import { configureApi, type HttpApplication } from '../src/http-application.js';
import { readConfig } from '../src/platform/config/config.js';
import {
  describeApi,
  EVENT_BUS_API,
  SERVER_API,
  type ApiTitle,
} from '../src/platform/http/openapi.js';

/** Writes the OpenAPI documents without a database: `node dist/scripts/openapi.js <folder>`. */
const folder = process.argv[2];
if (!folder) throw new Error('usage: openapi <folder>');
const options = { config: readConfig({}), databaseUrl: 'postgres://unused' };

async function describe(root: DynamicModule, api: ApiTitle, name: string): Promise<void> {
  const app = await NestFactory.create<HttpApplication>(root, {
    preview: true,
    logger: ['error'],
    abortOnError: false,
  });
  configureApi(app, api);
  const text = JSON.stringify(describeApi(app, api), null, 2);
  await writeFile(path.join(folder!, name), `${text}\n`);
}

await describe(AppModule.register(options), SERVER_API, 'openapi.json');
await describe(EventBusModule.register(options), EVENT_BUS_API, 'event-bus.openapi.json');
