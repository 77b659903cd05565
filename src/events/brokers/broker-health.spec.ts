import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { Global, Logger, Module } from '@nestjs/common';
import { bareApp } from '../../../test/builders/bare-app.js';
import { eventually } from '../../../test/builders/eventually.js';
import { testDatabase, type TestDatabase } from '../../../test/database/test-database.js';
import { STORAGE_BACKEND } from '../../core/contracts/storage-backend.js';
import { HealthModule } from '../../platform/health/health.module.js';
import type { HealthView } from '../../platform/health/health.view.js';
import { EventsModule } from '../events.module.js';
import { BrokerHealth } from './broker-health.js';

@Global()
@Module({
  providers: [{ provide: STORAGE_BACKEND, useValue: { checkWritable: async () => undefined } }],
  exports: [STORAGE_BACKEND],
})
class StorageWithoutBytes {}

@Module({ providers: [BrokerHealth] })
class BrokerHealthModule {}

const SECRET = 'a-secret-word';

describe('a broker that is away', () => {
  let database: TestDatabase;

  beforeAll(async () => {
    database = await testDatabase();
  });
  afterAll(() => database.drop());
  afterEach(() => {
    jest.restoreAllMocks();
  });

  it.each([
    // Nothing listens on port 1.
    ['nats', `nats://user:${SECRET}@127.0.0.1:1`],
    ['redis', `redis://user:${SECRET}@127.0.0.1:1`],
    ['amqp', `amqp://user:${SECRET}@127.0.0.1:1`],
  ])(
    'degrades a server with %s and leaves it ready; its password is said nowhere',
    async (_, url) => {
      const warn = jest.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);
      const debug = jest.spyOn(Logger.prototype, 'debug').mockImplementation(() => undefined);
      const { app, url: server } = await bareApp(
        database.url,
        [StorageWithoutBytes, EventsModule, HealthModule, BrokerHealthModule],
        { config: { EVENT_BUS_URL: url } },
      );
      try {
        const response = await fetch(`${server}/health/ready`);
        const health = (await response.json()) as HealthView;
        expect(response.status).toBe(200);
        expect(health.status).toBe('degraded');
        expect(health.checks.find(({ name }) => name === 'broker')).toMatchObject({
          status: 'degraded',
          reason: expect.stringContaining('127.0.0.1:1/varve is away'),
        });
        await eventually(() => expect(warn).toHaveBeenCalled());
        const said = [JSON.stringify(health)];
        for (const call of [...warn.mock.calls, ...debug.mock.calls]) {
          said.push(...call.map((word) => describeDeeply(word)));
        }
        expect(said.join('\n')).not.toContain(SECRET);
      } finally {
        await app.close();
      }
    },
  );
});

/** All that a logger could make of it: an error's own members and its stack as well. */
function describeDeeply(word: unknown): string {
  if (typeof word !== 'object' || word === null) return String(word);
  return Object.getOwnPropertyNames(word)
    .map((name) => `${name}: ${describeDeeply((word as Record<string, unknown>)[name])}`)
    .join('\n');
}
