import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  it,
  jest,
} from '@jest/globals';
import {
  Controller,
  Injectable,
  Logger,
  Module,
  type INestApplication,
  type Type,
} from '@nestjs/common';
import { Client } from 'pg';
import type { DataSource } from 'typeorm';
import { bareApp } from '../../test/builders/bare-app.js';
import { eventually } from '../../test/builders/eventually.js';
import { testDatabase, type TestDatabase } from '../../test/database/test-database.js';
import {
  EVENT_BUS,
  type DomainEvent,
  type EventBus,
  type EventHandler,
  type NewEvent,
} from '../core/contracts/event-bus.js';
import { UNIT_OF_WORK, type Tx, type UnitOfWork } from '../core/contracts/unit-of-work.js';
import { HandlesEvent } from '../core/events/handles-event.decorator.js';
import { RequestContext } from '../platform/logging/request-context.js';
import { Metrics } from '../platform/metrics/metrics.js';
import { EventsModule } from './events.module.js';

const TIMEOUT_MS = 5_000;

const created = (datasetId: number): NewEvent => ({
  type: 'dataset.created',
  subject: `dataset/${datasetId}`,
  data: { datasetId, name: `dataset ${datasetId}`, createdBy: 1 },
});

/** A promise that the test resolves. */
const gate = () => Promise.withResolvers<void>();

describe('events', () => {
  let database: TestDatabase;
  let dataSource: DataSource;
  let apps: INestApplication[];
  let warning: jest.SpiedFunction<Logger['warn']>;

  beforeAll(async () => {
    database = await testDatabase();
    dataSource = await database.open();
  });
  afterAll(() => database.drop());
  beforeEach(() => {
    apps = [];
    warning = jest.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);
    jest.spyOn(Logger.prototype, 'error').mockImplementation(() => undefined);
  });
  afterEach(async () => {
    await Promise.all(apps.map((app) => app.close()));
    jest.restoreAllMocks();
    await dataSource.query('TRUNCATE events, event_subscriptions, event_deliveries');
  });

  const replica = async (timeoutMs = TIMEOUT_MS, ...modules: Type<object>[]) => {
    const { app } = await bareApp(database.url, [EventsModule, ...modules], {
      config: { EVENT_HANDLER_TIMEOUT: timeoutMs },
    });
    apps.push(app);
    return app;
  };
  const subscribe = (app: INestApplication, handler: EventHandler, pattern = '**') =>
    app.get<EventBus>(EVENT_BUS).subscribe(pattern, handler, { name: `${pattern} of the test` });
  /** Subscribes and gives the list of what it is told. */
  const listen = (app: INestApplication, pattern = '**') => {
    const told: DomainEvent[] = [];
    subscribe(app, (event) => void told.push(event), pattern);
    return told;
  };
  const run = <T>(app: INestApplication, work: (tx: Tx, bus: EventBus) => Promise<T>) =>
    app.get<UnitOfWork>(UNIT_OF_WORK).run((tx) => work(tx, app.get<EventBus>(EVENT_BUS)));
  const publish = (app: INestApplication, ...events: NewEvent[]) =>
    run(app, (tx, bus) => bus.publishAll(tx, events));
  const subjects = (events: DomainEvent[]) => events.map(({ subject }) => subject);

  it('are told once they have committed, as CloudEvents', async () => {
    const app = await replica();
    const told = listen(app);
    const begun = gate();
    const committed = gate();
    const publishing = RequestContext.run('request-7', () =>
      run(app, async (tx, bus) => {
        const id = await bus.publish(tx, 'dataset.restored', 'dataset/1', { datasetId: 1 });
        // Its events stand where it began to write.
        await tx.query('SELECT pg_current_xact_id()');
        begun.resolve();
        await committed.promise;
        return id;
      }),
    );
    await begun.promise;
    // Another that commits before it is told after it: nobody may pass by what commits late.
    await publish(app, created(2));
    committed.resolve();
    const id = await publishing;
    await eventually(() => expect(subjects(told)).toEqual(['dataset/1', 'dataset/2']));
    const { time, ...rest } = told[0]!;
    expect(rest).toEqual({
      specversion: '1.0',
      id,
      source: '/varve',
      type: 'dataset.restored',
      subject: 'dataset/1',
      datacontenttype: 'application/json',
      correlationid: 'request-7',
      data: { datasetId: 1 },
    });
    expect(new Date(time).toISOString().slice(0, -1)).toBe(time.slice(0, 23));
  });

  it('are never told when they were rolled back', async () => {
    const app = await replica();
    const told = listen(app);
    await expect(
      run(app, async (tx, bus) => {
        await bus.publishAll(tx, [created(1)]);
        throw new Error('no');
      }),
    ).rejects.toThrow('no');
    await publish(app, created(2));
    await eventually(() => expect(told).toHaveLength(1));
    expect(subjects(told)).toEqual(['dataset/2']);
    expect(await dataSource.query('SELECT subject FROM events')).toEqual([
      { subject: 'dataset/2' },
    ]);
  });

  it('are written in their order, however many at once', async () => {
    const app = await replica();
    const told = listen(app);
    const events = Array.from({ length: 250 }, (_, n) => created(n));
    const ids = await publish(app, ...events);
    expect(await publish(app)).toEqual([]);
    const rows = await dataSource.query<{ id: string; subject: string }[]>(
      'SELECT id, subject FROM events ORDER BY position',
    );
    expect(rows).toEqual(events.map(({ subject }, at) => ({ id: ids[at], subject })));
    await eventually(() => expect(told.map(({ id }) => id)).toEqual(ids));
  });

  it('hold any text but NUL, which their publisher is told of', async () => {
    const app = await replica();
    const text = `'; DROP TABLE events; -- \\ \\' $1 "\n`;
    await publish(app, { ...created(1), correlationId: text, subject: text });
    expect(await dataSource.query('SELECT subject, correlation_id AS id FROM events')).toEqual([
      { subject: text, id: text },
    ]);
    await expect(publish(app, { ...created(2), subject: 'a\0b' })).rejects.toThrow('NUL');
  });

  it('carry the request that they were published for, told or running', async () => {
    const app = await replica();
    await RequestContext.run('running', () =>
      publish(
        app,
        created(1),
        { ...created(2), correlationId: 'other' },
        { ...created(3), correlationId: null },
      ),
    );
    expect(
      await dataSource.query('SELECT correlation_id AS id FROM events ORDER BY position'),
    ).toEqual([{ id: 'running' }, { id: 'other' }, { id: null }]);
  });

  it('pass on the request that they came from to what their handlers publish', async () => {
    const app = await replica();
    const told = listen(app, 'file.*');
    subscribe(
      app,
      () =>
        run(app, async (tx, bus) => {
          await bus.publish(tx, 'file.deleted', 'file/1', { fileId: 1, sha256: '', sizeBytes: 0 });
        }),
      'dataset.created',
    );
    await RequestContext.run('request-7', () => publish(app, created(1)));
    await eventually(() => expect(told[0]?.correlationid).toBe('request-7'));
  });

  it('reach other handlers, and end, where one fails or hangs', async () => {
    const app = await replica(100);
    const told = listen(app);
    subscribe(app, () => Promise.reject(new Error('no')), 'dataset.*');
    subscribe(app, () => new Promise(() => undefined), 'dataset.**');
    await publish(app, created(1), created(2));
    await eventually(() => expect(told).toHaveLength(2));
  });

  it('reach every process that subscribes, whoever publishes', async () => {
    const replicas = [await replica(), await replica()];
    const told = replicas.map((app) => listen(app));
    await Promise.all(
      Array.from({ length: 50 }, (_, n) => publish(replicas[n % 2]!, created(n), created(-n - 1))),
    );
    await eventually(() => expect(told.map(({ length }) => length)).toEqual([100, 100]));
    expect(told[0]).toEqual(told[1]);
  });

  it('wake the other replicas after the commit', async () => {
    const app = await replica();
    const other = new Client({ connectionString: database.url });
    await other.connect();
    const woken = gate();
    other.on('notification', ({ channel }) => channel === 'varve_events' && woken.resolve());
    await other.query('LISTEN varve_events');
    await publish(app, created(1));
    await woken.promise;
    await other.end();
  });

  it('are told after the bus has lost its connections', async () => {
    const app = await replica();
    const told = listen(app);
    await publish(app, created(1));
    await eventually(() => expect(told).toHaveLength(1));
    await dataSource.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE datname = current_database() AND application_name = 'varve events'`,
    );
    await eventually(() => expect(warning).toHaveBeenCalled());
    await publish(app, created(2));
    await eventually(() => expect(subjects(told)).toEqual(['dataset/1', 'dataset/2']));
  });

  it('that are being handled when the server stops are handled to their end', async () => {
    const app = await replica();
    const handling = gate();
    const ended: string[] = [];
    let begun = false;
    subscribe(app, async () => {
      begun = true;
      await handling.promise;
      ended.push('handler');
    });
    await publish(app, created(1));
    await eventually(() => expect(begun).toBe(true));
    const closing = app.close().then(() => ended.push('server'));
    handling.resolve();
    await closing;
    expect(ended).toEqual(['handler', 'server']);
  });

  it('reach the methods that say so, of providers and controllers', async () => {
    const seen: string[] = [];

    @Injectable()
    class Provider {
      private readonly name = 'provider';

      @HandlesEvent('dataset.created', { name: 'test.provider' })
      onCreated({ data }: DomainEvent<'dataset.created'>): void {
        seen.push(`${this.name} ${data.datasetId}`);
      }

      @HandlesEvent('dataset.**', { name: 'test.provider.all' })
      async onAny(event: DomainEvent): Promise<void> {
        seen.push(event.type);
      }

      notMarked(): void {
        seen.push('not marked');
      }
    }

    @Controller('listener')
    class Listener {
      @HandlesEvent('*.created', { name: 'test.controller' })
      onCreated(): void {
        seen.push('controller');
      }
    }

    @Module({
      providers: [Provider, { provide: 'ALIAS', useExisting: Provider }],
      controllers: [Listener],
    })
    class Handlers {}

    const app = await replica(TIMEOUT_MS, Handlers);
    await publish(app, created(7));
    await eventually(() => expect(seen).toHaveLength(3));
    expect(seen.sort()).toEqual(['controller', 'dataset.created', 'provider 7']);
  });

  it('no longer reach what has been unsubscribed', async () => {
    const app = await replica();
    const told: string[] = [];
    const first = subscribe(app, () => void told.push('first'), 'dataset.*');
    subscribe(app, () => void told.push('second'), 'dataset.**');
    app.get<EventBus>(EVENT_BUS).unsubscribe(first);
    await publish(app, created(1));
    await eventually(() => expect(told).toHaveLength(1));
    expect(told).toEqual(['second']);
  });

  describe('are measured', () => {
    const value = async (app: INestApplication, name: string) => {
      const metric = await app.get(Metrics).registry.getSingleMetric(name)!.get();
      return metric.values[0]?.value;
    };

    it('by how many have committed', async () => {
      const app = await replica();
      await publish(app, created(1), created(2));
      await run(app, async (tx, bus) => {
        await bus.publishAll(tx, [created(3)]);
        throw new Error('no');
      }).catch(() => undefined);
      expect(await value(app, 'varve_events_published_total')).toBe(2);
    });

    it('by how long the oldest has been waiting', async () => {
      const app = await replica();
      expect(await value(app, 'varve_event_lag_seconds')).toBe(0);
      const handling = gate();
      app.get<EventBus>(EVENT_BUS).subscribe('**', () => handling.promise, {
        name: 'slow',
        durable: true,
      });
      await dataSource.query(
        `INSERT INTO events (type, source, subject, data, time)
         VALUES ('dataset.restored', '/test', '', '{}', now() - interval '1 hour')`,
      );
      await eventually(async () =>
        expect(await value(app, 'varve_event_lag_seconds')).toBeGreaterThanOrEqual(3_600),
      );
      handling.resolve();
    });

    it('without harm to other metrics while the database is away', async () => {
      const app = await replica();
      jest.spyOn(app.get<UnitOfWork>(UNIT_OF_WORK), 'read').mockRejectedValue(new Error('away'));
      expect(await value(app, 'varve_event_lag_seconds')).toBeNaN();
    });
  });
});
