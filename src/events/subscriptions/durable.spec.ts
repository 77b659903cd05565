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
import { Logger, type INestApplication } from '@nestjs/common';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DataSource } from 'typeorm';
import { bareApp } from '../../../test/builders/bare-app.js';
import { eventually } from '../../../test/builders/eventually.js';
import { settledLog } from '../../../test/builders/settled-log.js';
import { testDatabase, type TestDatabase } from '../../../test/database/test-database.js';
import {
  EVENT_BUS,
  type EventBus,
  type EventHandler,
  type NewEvent,
  type SubscriptionOptions,
} from '../../core/contracts/event-bus.js';
import { HANDLED_EVENTS, type HandledEvents } from '../../core/contracts/handled-events.js';
import { UNIT_OF_WORK, type Tx, type UnitOfWork } from '../../core/contracts/unit-of-work.js';
import type { EventId } from '../../core/ids.js';
import { EventsModule } from '../events.module.js';
import { PAGE } from '../log/entry-source.js';
import { SubscriptionStore } from './subscription-store.js';

const NAME = 'test.durable';

const created = (datasetId: number, name = ''): NewEvent => ({
  type: 'dataset.created',
  subject: `dataset/${datasetId}`,
  data: { datasetId, name, createdBy: 1 },
});

const restored = (datasetId: number): NewEvent => ({
  type: 'dataset.restored',
  subject: `dataset/${datasetId}`,
  data: { datasetId },
});

/** What a handler was told, as `subject name`. */
const words = ({ subject, data }: { subject: string; data: object }) =>
  `${subject} ${(data as { name?: string }).name ?? ''}`.trim();

describe('a durable subscription', () => {
  let database: TestDatabase;
  let dataSource: DataSource;
  let apps: INestApplication[];

  beforeAll(async () => {
    database = await testDatabase();
    dataSource = await database.open();
  });
  afterAll(() => database.drop());
  beforeEach(() => {
    apps = [];
    jest.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);
    jest.spyOn(Logger.prototype, 'error').mockImplementation(() => undefined);
  });
  afterEach(async () => {
    await Promise.all(apps.map((app) => app.close()));
    jest.restoreAllMocks();
    await dataSource.query('TRUNCATE events, event_subscriptions, event_deliveries');
  });

  const replica = async (timeoutMs = 5_000) => {
    const { app } = await bareApp(database.url, [EventsModule], {
      config: { EVENT_HANDLER_TIMEOUT: timeoutMs },
    });
    apps.push(app);
    return app;
  };
  const subscribe = (
    app: INestApplication,
    handler: EventHandler,
    options: Partial<SubscriptionOptions> = {},
    pattern = '**',
  ) =>
    app
      .get<EventBus>(EVENT_BUS)
      .subscribe(pattern, handler, { name: NAME, durable: true, backoffMs: 1, ...options });
  const run = <T>(app: INestApplication, work: (tx: Tx) => Promise<T>) =>
    app.get<UnitOfWork>(UNIT_OF_WORK).run(work);
  const publish = (app: INestApplication, ...events: NewEvent[]) =>
    run(app, (tx) => app.get<EventBus>(EVENT_BUS).publishAll(tx, events));
  const deliveries = (state: 'pending' | 'dead') =>
    dataSource.query<{ subject: string; attempts: number; last_error: string; event: object }[]>(
      `SELECT subject, attempts, last_error, event FROM event_deliveries
       WHERE state = $1 ORDER BY transaction_id, position`,
      [state],
    );
  const held = () =>
    eventually(async () => {
      const [row] = await dataSource.query<{ holder: string }[]>(
        'SELECT holder FROM event_subscriptions WHERE holder IS NOT NULL',
      );
      return row?.holder ?? null;
    });
  /** Leaves the subscription as processes do that were killed while they handled, so many times. */
  const died = async (times: number, pattern?: string) => {
    const app = await replica();
    subscribe(app, () => undefined, {}, pattern);
    await held();
    await app.close();
    await dataSource.query(
      `UPDATE event_subscriptions
       SET holder = 'dead', attempts = $1, lease_until = now() - interval '1 second'`,
      [times],
    );
  };
  const caughtUp = () =>
    eventually(async () => {
      const [row] = await dataSource.query<{ behind: number }[]>(
        `SELECT count(*)::int AS behind FROM event_subscriptions s JOIN events e
         ON (e.transaction_id, e.position) > (s.transaction_id, s.position)`,
      );
      expect(row!.behind).toBe(0);
    });

  it('handles each event once over all replicas, and in the order of its subject', async () => {
    const replicas = [await replica(), await replica()];
    const told: string[] = [];
    for (const app of replicas) subscribe(app, (event) => void told.push(words(event)));
    for (let n = 0; n < 20; n++) {
      await Promise.all(replicas.map((app, at) => publish(app, created(at, String(n)))));
    }
    await eventually(() => expect(told).toHaveLength(40));
    await caughtUp();
    for (const at of [0, 1]) {
      const own = told.filter((text) => text.startsWith(`dataset/${at} `));
      expect(own).toEqual(Array.from({ length: 20 }, (_, n) => `dataset/${at} ${n}`));
    }
  });

  it('goes on where it was, once another process has it', async () => {
    const first = await replica();
    const told: string[] = [];
    subscribe(first, (event) => void told.push(`first ${words(event)}`));
    await publish(first, created(1));
    await eventually(() => expect(told).toHaveLength(1));
    await first.close();
    const other = await replica();
    await publish(other, created(2));
    subscribe(other, (event) => void told.push(`second ${words(event)}`));
    await eventually(() => expect(told).toEqual(['first dataset/1', 'second dataset/2']));
  });

  it('is told of what happens after it was made, and no earlier', async () => {
    const app = await replica();
    await publish(app, created(1));
    const told: string[] = [];
    await eventually(async () => {
      const settled = await dataSource.query<object[]>(
        `SELECT 1 FROM events WHERE transaction_id < pg_snapshot_xmin(pg_current_snapshot())`,
      );
      expect(settled).toHaveLength(1);
    });
    await (await replica()).close();
    const later = await replica();
    subscribe(later, (event) => void told.push(words(event)), {}, 'dataset.*');
    await publish(app, created(2));
    await eventually(() => expect(told).toEqual(['dataset/2']));
  });

  it('passes by nothing that commits late', async () => {
    const app = await replica();
    const told: string[] = [];
    subscribe(app, (event) => void told.push(words(event)));
    const begun = Promise.withResolvers<void>();
    const late = Promise.withResolvers<void>();
    const publishing = run(app, async (tx) => {
      await app.get<EventBus>(EVENT_BUS).publishAll(tx, [created(1)]);
      // Its events stand where it began to write.
      await tx.query('SELECT pg_current_xact_id()');
      begun.resolve();
      await late.promise;
    });
    await begun.promise;
    await publish(app, created(2));
    late.resolve();
    await publishing;
    await eventually(() => expect(told).toEqual(['dataset/1', 'dataset/2']));
  });

  it('tries again what fails, tells the attempt, and goes on meanwhile with other subjects', async () => {
    const app = await replica();
    const told: string[] = [];
    const other = Promise.withResolvers<void>();
    subscribe(app, async (event, { attempt }) => {
      if (words(event) === 'dataset/1 a' && attempt < 3) {
        await other.promise;
        throw new Error(`no ${attempt}`);
      }
      told.push(`${words(event)} #${attempt}`);
      if (event.subject === 'dataset/2') other.resolve();
    });
    await publish(app, created(1, 'a'), created(1, 'b'), created(2, 'c'), created(1, 'd'));
    await eventually(() => expect(told).toHaveLength(4));
    expect(told).toEqual(['dataset/2 c #1', 'dataset/1 a #3', 'dataset/1 b #1', 'dataset/1 d #1']);
    await eventually(async () => expect(await deliveries('pending')).toEqual([]));
  });

  it('keeps later events of a subject behind an earlier one that is tried again', async () => {
    const app = await replica();
    const told: string[] = [];
    let well = false;
    subscribe(
      app,
      (event) => {
        if (!well && event.subject === 'dataset/1') throw new Error('not yet');
        told.push(words(event));
      },
      { attempts: 1_000 },
    );
    await publish(app, created(1, 'a'));
    await eventually(async () => expect(await deliveries('pending')).toHaveLength(1));
    await publish(app, created(1, 'b'), created(2, 'c'));
    await eventually(() => expect(told).toEqual(['dataset/2 c']));
    await eventually(async () => expect(await deliveries('pending')).toHaveLength(2));
    well = true;
    await eventually(() => expect(told).toEqual(['dataset/2 c', 'dataset/1 a', 'dataset/1 b']));
    await publish(app, created(1, 'd'));
    await eventually(() => expect(told.at(-1)).toBe('dataset/1 d'));
  });

  it('makes a dead letter of what fails too often, and frees what waited behind it', async () => {
    const app = await replica();
    const told: string[] = [];
    subscribe(app, (event) => {
      if (words(event) === 'dataset/1 bad') throw new Error('b\0ad');
      told.push(words(event));
    });
    const [id] = await publish(app, created(1, 'bad'), created(1, 'good'));
    await eventually(() => expect(told).toEqual(['dataset/1 good']));
    const [letter] = await deliveries('dead');
    expect(letter).toMatchObject({ attempts: 3, last_error: 'Error: bad', event: { id } });
  });

  it('gives up at once what may be tried only once, and goes on', async () => {
    const app = await replica();
    const told: string[] = [];
    subscribe(
      app,
      (event) => {
        if (words(event) === 'dataset/1 bad') throw new TypeError('bad kind');
        told.push(words(event));
      },
      { attempts: 1 },
    );
    await publish(app, created(1, 'bad'), created(1, 'a'), created(1, 'b'));
    await eventually(() => expect(told).toEqual(['dataset/1 a', 'dataset/1 b']));
    expect(await deliveries('dead')).toMatchObject([
      { attempts: 1, last_error: 'TypeError: bad kind' },
    ]);
  });

  it('gives a handler up that hangs, tells it so, and tries again', async () => {
    const app = await replica(50);
    const aborted: number[] = [];
    subscribe(app, (_, { attempt, signal }) => {
      signal.addEventListener('abort', () => aborted.push(attempt));
      return attempt < 2 ? new Promise(() => undefined) : undefined;
    });
    await publish(app, created(1));
    await eventually(() => expect(aborted).toEqual([1]));
    await caughtUp();
    await eventually(async () => expect(await deliveries('pending')).toEqual([]));
    expect(await deliveries('dead')).toEqual([]);
  });

  it('is taken over from a process that has died, which then counts as an attempt', async () => {
    const told: string[] = [];
    await died(3);
    const next = await replica();
    await publish(next, created(1), created(2));
    await settledLog(dataSource);
    subscribe(next, (event) => void told.push(words(event)));
    await eventually(() => expect(told).toEqual(['dataset/2']));
    expect(await deliveries('dead')).toMatchObject([
      { subject: 'dataset/1', attempts: 3, last_error: expect.stringContaining('3 times') },
    ]);
  });

  it('knows what ended a process, although an older transaction hid it until now', async () => {
    const runner = dataSource.createQueryRunner();
    await runner.startTransaction();
    await runner.query('SELECT pg_current_xact_id()');
    await died(3);
    // Its feed begins where the subscription does, and looks again ever more rarely.
    const next = await replica();
    await publish(next, created(1), created(2));
    await sleep(300);
    await runner.commitTransaction();
    await runner.release();
    await settledLog(dataSource);
    const told: string[] = [];
    subscribe(next, (event) => void told.push(words(event)));
    await eventually(() => expect(told).toContain('dataset/2'));
    expect(told).toEqual(['dataset/2']);
  });

  it('finds what ended a process behind events that are not its own', async () => {
    await died(3, 'dataset.created');
    const next = await replica();
    await publish(
      next,
      ...Array.from({ length: PAGE }, (_, n) => restored(n)),
      created(1),
      created(2),
    );
    await settledLog(dataSource);
    const told: string[] = [];
    subscribe(next, (event) => void told.push(words(event)), {}, 'dataset.created');
    await eventually(() => expect(told).toContain('dataset/2'));
    expect(told).toEqual(['dataset/2']);
  });

  it('is no further attempt where the same process takes it again', async () => {
    await died(3);
    const store = (await replica()).get(SubscriptionStore);
    const claim = () => store.claim([NAME], 'another', 60_000);
    expect(await claim()).toMatchObject([{ attempts: 4 }]);
    expect(await claim()).toMatchObject([{ attempts: 4 }]);
  });

  it('goes one by one after a death, so that what caused it is known', async () => {
    await died(1);
    const app = await replica();
    await publish(app, created(1), created(2), created(3));
    await settledLog(dataSource);
    let running = 0;
    const most: number[] = [];
    subscribe(app, async () => {
      most.push(++running);
      await new Promise(setImmediate);
      running--;
    });
    await eventually(() => expect(most).toEqual([1, 1, 1]));
  });

  it('leaves alone what another process holds', async () => {
    const app = await replica();
    const told: string[] = [];
    await dataSource.query(
      `INSERT INTO event_subscriptions (name, pattern, holder, lease_until)
       VALUES ($1, '**', 'another', now() + interval '1 hour')`,
      [NAME],
    );
    subscribe(app, (event) => void told.push(words(event)));
    const live: string[] = [];
    app
      .get<EventBus>(EVENT_BUS)
      .subscribe('**', (event) => void live.push(words(event)), { name: 'live' });
    await publish(app, created(1));
    await eventually(() => expect(live).toEqual(['dataset/1']));
    expect(told).toEqual([]);
    await dataSource.query('UPDATE event_subscriptions SET lease_until = now()');
    await eventually(() => expect(told).toEqual(['dataset/1']));
  });

  it('writes nothing once its lease is another’s, and what it did is done again', async () => {
    const app = await replica();
    const told: string[] = [];
    const first = Promise.withResolvers<void>();
    const robbed = Promise.withResolvers<void>();
    subscribe(app, async (event) => {
      told.push(words(event));
      first.resolve();
      await robbed.promise;
    });
    await publish(app, created(1));
    await first.promise;
    await dataSource.query(
      `UPDATE event_subscriptions SET generation = generation + 1, holder = NULL, lease_until = NULL`,
    );
    robbed.resolve();
    await eventually(() => expect(told).toEqual(['dataset/1', 'dataset/1']));
  });

  it('is handled again after its connections were lost', async () => {
    const app = await replica();
    const told: string[] = [];
    subscribe(app, (event) => void told.push(words(event)));
    await held();
    await dataSource.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE datname = current_database() AND application_name = 'varve events'`,
    );
    await publish(app, created(1));
    await eventually(() => expect(told).toContain('dataset/1'));
  });

  it('ends where it is unsubscribed, and keeps its position for the next', async () => {
    const app = await replica();
    const told: string[] = [];
    const subscription = subscribe(app, (event) => void told.push(`first ${words(event)}`));
    expect(() => subscribe(app, () => undefined)).toThrow(NAME);
    await held();
    app.get<EventBus>(EVENT_BUS).unsubscribe(subscription);
    await publish(app, created(1));
    subscribe(app, (event) => void told.push(`second ${words(event)}`));
    await eventually(() => expect(told).toEqual(['second dataset/1']));
  });

  it('does a thing once, however often it is told of it', async () => {
    const app = await replica();
    const handled = app.get<HandledEvents>(HANDLED_EVENTS);
    const event = { id: 'a5a5a5a5-0000-4000-8000-000000000001' as EventId };
    let times = 0;
    const once = () => handled.once('test', event, async () => void times++);
    expect((await Promise.all([once(), once(), once()])).filter(Boolean)).toEqual([true]);
    expect(times).toBe(1);
    await expect(
      handled.once('failing', event, () => Promise.reject(new Error('no'))),
    ).rejects.toThrow('no');
    expect(await handled.once('failing', event, async () => undefined)).toBe(true);
  });
});
