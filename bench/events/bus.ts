import { Global, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { INestApplicationContext } from '@nestjs/common';
import { Client } from 'pg';
import { EVENT_BUS, type EventBus, type NewEvent } from '../../src/core/contracts/event-bus.js';
import { UNIT_OF_WORK, type UnitOfWork } from '../../src/core/contracts/unit-of-work.js';
import { EventsModule } from '../../src/events/events.module.js';
import { CONFIG, readConfig } from '../../src/platform/config/config.js';
import { DatabaseModule } from '../../src/platform/database/database.module.js';
import { startEmbeddedPostgres } from '../../src/platform/database/embedded-postgres.js';
import { migrate } from '../../src/platform/database/migrate.js';
import { MetricsModule } from '../../src/platform/metrics/metrics.module.js';
import type { Bench } from '../harness/bench.js';

const servers = new WeakMap<Bench, Promise<string>>();
let databases = 0;

/** The embedded PostgreSQL as the server has it, once for the suite. */
function server(bench: Bench): Promise<string> {
  const known = servers.get(bench);
  if (known) return known;
  const starting = (async () => {
    const quiet = () => undefined;
    const postgres = await startEmbeddedPostgres({
      dataDir: await bench.folder('events'),
      log: { info: quiet, warn: quiet, error: quiet },
    });
    bench.defer(() => postgres.stop());
    return postgres.url;
  })();
  servers.set(bench, starting);
  return starting;
}

/** A migrated database of a measurement's own. */
export async function newDatabase(bench: Bench): Promise<string> {
  const base = await server(bench);
  const name = `bench_${++databases}`;
  const client = new Client({ connectionString: base });
  await client.connect();
  await client.query(`CREATE DATABASE ${name}`);
  await client.end();
  const url = Object.assign(new URL(base), { pathname: `/${name}` }).href;
  await migrate(url);
  return url;
}

/** The bus of one process, without the rest of the server. */
export class BenchBus {
  private constructor(private readonly app: INestApplicationContext) {}

  static async start(url: string): Promise<BenchBus> {
    @Global()
    @Module({
      providers: [{ provide: CONFIG, useValue: readConfig({}) }],
      exports: [CONFIG],
    })
    class ConfigModule {}

    @Module({
      imports: [
        ConfigModule,
        MetricsModule,
        DatabaseModule.register({ url, poolSize: 10 }),
        EventsModule,
      ],
    })
    class BusModule {}

    const app = await NestFactory.createApplicationContext(BusModule, { logger: false });
    return new BenchBus(app);
  }

  get bus(): EventBus {
    return this.app.get<EventBus>(EVENT_BUS, { strict: false });
  }

  get unitOfWork(): UnitOfWork {
    return this.app.get<UnitOfWork>(UNIT_OF_WORK, { strict: false });
  }

  /** Publishes so many events, in few transactions. */
  async publish(count: number): Promise<void> {
    for (let left = count; left > 0; left -= 1_000) {
      const events = Array.from({ length: Math.min(left, 1_000) }, (_, n) => anEvent(n));
      await this.unitOfWork.run((tx) => this.bus.publishAll(tx, events));
    }
  }

  /** Resolves once `names` durable subscriptions, which begin at the log's start, have handled all. */
  async handle(names: readonly string[], count: number): Promise<void> {
    await Promise.all(
      names.map((name) => {
        const { promise, resolve } = Promise.withResolvers<void>();
        let handled = 0;
        this.bus.subscribe('**', () => void (++handled === count && resolve()), {
          name,
          durable: true,
        });
        return promise;
      }),
    );
  }

  close(): Promise<void> {
    return this.app.close();
  }
}

export function anEvent(n: number): NewEvent {
  const datasetId = n % 1_000;
  return { type: 'dataset.restored', subject: `dataset/${datasetId}`, data: { datasetId } };
}
