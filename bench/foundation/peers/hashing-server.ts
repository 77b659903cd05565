/** The floor under many small uploads: a Nest route that hashes each body and keeps nothing. */
import 'reflect-metadata';
import { Controller, Module, Post, Req } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { createHash } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import type { IncomingMessage, Server } from 'node:http';

@Controller('files')
class HashingController {
  @Post()
  hash(@Req() body: IncomingMessage): Promise<{ sha256: string }> {
    return new Promise((resolve, reject) => {
      const hash = createHash('sha256');
      body.on('data', (chunk: Buffer) => hash.update(chunk));
      body.once('end', () => resolve({ sha256: hash.digest('hex') }));
      body.once('error', reject);
    });
  }
}

@Module({ controllers: [HashingController] })
class HashingModule {}

const app = await NestFactory.create<NestExpressApplication>(HashingModule, {
  bodyParser: false,
  logger: ['error'],
});
await app.listen(0, '127.0.0.1');
const server: Server = app.getHttpServer();
const { port } = server.address() as AddressInfo;
process.stdout.write(`listens on ${port}\n`);
