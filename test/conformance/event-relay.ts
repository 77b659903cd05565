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
import type { DataSource } from 'typeorm';
import { EVENT_BUS, type EventBus, type NewEvent } from '../../src/core/contracts/event-bus.js';
import { UNIT_OF_WORK, type UnitOfWork } from '../../src/core/contracts/unit-of-work.js';
import { EventsModule } from '../../src/events/events.module.js';
import { Metrics } from '../../src/platform/metrics/metrics.js';
import { bareApp } from '../builders/bare-app.js';
import { eventually } from '../builders/eventually.js';
import { testDatabase, type TestDatabase } from '../database/test-database.js';
import type { BrokerUnderTest } from './event-broker.js';

const OUTSIDER = 'one';
/** One of the names that a test may join, see GROUPS. */
const SUBSCRIPTION = 'group';

const created = (datasetId: number, name: number): NewEvent => ({
  type: 'dataset.created',
  subject: `dataset/${datasetId}`,
  data: { datasetId, name: String(name), createdBy: 1 },
});
const nameIn = (data: unknown) => Number((data as { name: string }).name);

/** What holds for events on their way through a broker, whatever becomes of the broker. */
export function describeEventRelay(
  name: string,
  make: () => Promise<BrokerUnderTest>,
  { canBeWiped = true }: { canBeWiped?: boolean } = {},
): void {
  describe(`${name}: events that go through it`, () => {
    let database: TestDatabase;
    let dataSource: DataSource;
    let underTest: BrokerUnderTest;
    let apps: INestApplication[];
    let told: number[];
    let outside: number[];

    beforeAll(async () => {
      database = await testDatabase();
      dataSource = await database.open();
    });
    afterAll(() => database.drop());
    beforeEach(async () => {
      jest.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);
      underTest = await make();
      [apps, told, outside] = [[], [], []];
    });
    afterEach(async () => {
      await Promise.all(apps.map((app) => app.close()));
      await underTest.dispose();
      jest.restoreAllMocks();
      await dataSource.query('TRUNCATE events, event_subscriptions, event_deliveries');
    });

    /** A process with the one durable subscription. */
    const replica = async () => {
      const { app } = await bareApp(database.url, [EventsModule], {
        config: { EVENT_BUS_URL: underTest.url },
      });
      apps.push(app);
      app.get<EventBus>(EVENT_BUS).subscribe('**', ({ data }) => void told.push(nameIn(data)), {
        name: SUBSCRIPTION,
        durable: true,
      });
      return app;
    };
    const publish = (app: INestApplication, ...events: NewEvent[]) =>
      app
        .get<UnitOfWork>(UNIT_OF_WORK)
        .run((tx) => app.get<EventBus>(EVENT_BUS).publishAll(tx, events));
    const publishNumbers = async (app: INestApplication, from: number, to: number) => {
      for (let n = from; n <= to; n++) await publish(app, created(n % 3, n));
    };
    /** Somebody else, who knows nothing but the broker. */
    const listen = async () => {
      const consumer = underTest.broker.consume(OUTSIDER, (deliveries) => {
        for (const delivery of deliveries) {
          outside.push(nameIn((JSON.parse(delivery.body) as { data: unknown }).data));
          delivery.ack();
        }
      });
      await eventually(() => expect(consumer.isAttached).toBe(true));
      return consumer;
    };
    const numbers = (from: number, to: number) =>
      Array.from({ length: to - from + 1 }, (_, index) => from + index);
    const counted = async (metric: string, label = '') => {
      const values = await Promise.all(
        apps.map((app) => app.get(Metrics).registry.getSingleMetric(metric)!.get()),
      );
      return values
        .flatMap((one) => one.values)
        .filter(({ labels }) => label === '' || Object.values(labels).includes(label))
        .reduce((sum, { value }) => sum + value, 0);
    };

    it('come to everybody who listens there, in order, and to a durable subscription once', async () => {
      const consumer = await listen();
      const [one, other] = [await replica(), await replica()];
      await publishNumbers(one, 1, 30);
      await publishNumbers(other, 31, 60);
      await eventually(() => expect(outside).toEqual(numbers(1, 60)));
      await eventually(() => expect(told).toEqual(numbers(1, 60)));
      await eventually(async () => expect(await counted('varve_events_relayed_total')).toBe(60));
      await consumer.close();
    });

    it('are taken from the broker by a durable subscription', async () => {
      const app = await replica();
      let n = 0;
      await eventually(async () => {
        await publishNumbers(app, ++n, n);
        expect(await counted('varve_events_taken_total', 'broker')).toBeGreaterThan(0);
      });
      await eventually(() => expect(told).toEqual(numbers(1, n)));
    });

    it('are neither lost nor waited for while it is away', async () => {
      const consumer = await listen();
      const app = await replica();
      await publishNumbers(app, 1, 5);
      await eventually(() => expect(outside).toEqual(numbers(1, 5)));
      await underTest.cut();
      await publishNumbers(app, 6, 20);
      await eventually(() => expect(told).toEqual(numbers(1, 20)));
      expect(outside).toEqual(numbers(1, 5));
      expect(await counted('varve_event_relay_lag_seconds')).toBeGreaterThan(0);
      await underTest.mend();
      await eventually(() => expect(new Set(outside)).toEqual(new Set(numbers(1, 20))));
      await publishNumbers(app, 21, 25);
      await eventually(() => expect(told).toEqual(numbers(1, 25)));
      await eventually(() => expect(new Set(outside)).toEqual(new Set(numbers(1, 25))));
      await eventually(async () => expect(await counted('varve_event_relay_lag_seconds')).toBe(0));
      await consumer.close();
    });

    if (canBeWiped) {
      it('are neither lost nor handled twice when it comes back without its store', async () => {
        const app = await replica();
        await publishNumbers(app, 1, 10);
        await eventually(() => expect(told).toEqual(numbers(1, 10)));
        await underTest.cut();
        await publishNumbers(app, 11, 15);
        await underTest.wipe();
        await underTest.mend();
        await publishNumbers(app, 16, 20);
        await eventually(() => expect(told).toEqual(numbers(1, 20)));
        const [last] = await dataSource.query<{ cursor: string }[]>(
          `SELECT transaction_id || '-' || position AS cursor FROM events
         ORDER BY transaction_id DESC, position DESC LIMIT 1`,
        );
        // The store was given the whole log again.
        await eventually(async () => expect(await underTest.broker.newest()).toBe(last!.cursor));
        await eventually(async () =>
          expect(await counted('varve_events_relayed_total')).toBeGreaterThanOrEqual(20),
        );
        expect(told).toEqual(numbers(1, 20));
      });
    }

    it('go on where the process that relayed them has ended', async () => {
      const consumer = await listen();
      const first = await replica();
      await publishNumbers(first, 1, 5);
      await eventually(() => expect(outside).toEqual(numbers(1, 5)));
      await first.close();
      apps = [];
      const second = await replica();
      await publishNumbers(second, 6, 10);
      await eventually(() => expect(outside).toEqual(numbers(1, 10)));
      await eventually(() => expect(told).toEqual(numbers(1, 10)));
      await consumer.close();
    });
  });
}
