import { NestFactory } from '@nestjs/core';
import { writeFile } from 'node:fs/promises';
import { AppModule } from '../src/app.module.js';
import { readConfig } from '../src/platform/config/config.js';
import { describeApi } from '../src/platform/http/openapi.js';
import { configureApi, type HttpApplication } from '../src/server.js';

/** Writes the OpenAPI document without a database: `node dist/scripts/openapi.js <file>`. */
const target = process.argv[2];
if (!target) throw new Error('usage: openapi <file>');
const app = await NestFactory.create<HttpApplication>(
  AppModule.register({ config: readConfig({}), databaseUrl: 'postgres://unused' }),
  { preview: true, logger: ['error'], abortOnError: false },
);
configureApi(app);
await writeFile(target, `${JSON.stringify(describeApi(app), null, 2)}\n`);
