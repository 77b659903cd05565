import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { DataSource } from 'typeorm';
import { bareApp, type BareApp } from '../../../test/builders/bare-app.js';
import { eventually } from '../../../test/builders/eventually.js';
import { testDatabase, type TestDatabase } from '../../../test/database/test-database.js';
import { EVENT_BUS, type EventBus } from '../../core/contracts/event-bus.js';
import { UNIT_OF_WORK, type UnitOfWork } from '../../core/contracts/unit-of-work.js';
import { Metrics } from '../../platform/metrics/metrics.js';
import { EventsModule } from '../events.module.js';

const KEY = 'key-of-the-remote-bus';

interface Sent {
  id: string;
  data: { datasetId: number };
}

/** A remote that answers as it is told to, and remembers what it took. */
class FakeRemote {
  readonly taken: Sent[] = [];
  readonly batches: number[] = [];
  readonly keys = new Set<string | undefined>();
  answer: (events: readonly Sent[]) => number = () => 201;
  private readonly server: Server;

  constructor() {
    this.server = createServer((req, res) => {
      this.keys.add(req.headers.authorization);
      void (async () => {
        const chunks: Buffer[] = [];
        for await (const chunk of req) chunks.push(chunk as Buffer);
        const { events } = JSON.parse(Buffer.concat(chunks).toString()) as { events: Sent[] };
        this.batches.push(events.length);
        const status = this.answer(events);
        if (status === 201) this.taken.push(...events);
        res.writeHead(status).end(JSON.stringify({ detail: `as told: ${status}` }));
      })();
    });
  }

  async listen(): Promise<string> {
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.server.close();
    this.server.closeAllConnections();
  }

  numbers(): number[] {
    return this.taken.map(({ data }) => data.datasetId);
  }
}

let database: TestDatabase;
let dataSource: DataSource;
let remote: FakeRemote;
let process: BareApp;
let name: string;

beforeAll(async () => {
  database = await testDatabase();
  dataSource = await database.open();
  remote = new FakeRemote();
  const url = await remote.listen();
  name = `events.forward ${url}`;
  const config = { EVENT_BUS_URL: `${url}/`, EVENT_BUS_KEY: KEY };
  process = await bareApp(database.url, [EventsModule], { config });
});
afterAll(async () => {
  await process.app.close();
  remote.close();
  await database.drop();
});
afterEach(() => {
  remote.answer = () => 201;
  remote.taken.length = remote.batches.length = 0;
});

const publish = (...numbers: number[]) =>
  process.app.get<UnitOfWork>(UNIT_OF_WORK).run((tx) =>
    process.app.get<EventBus>(EVENT_BUS).publishAll(
      tx,
      numbers.map((datasetId) => ({
        type: 'dataset.restored',
        subject: `dataset/${datasetId}`,
        data: { datasetId },
      })),
    ),
  );
const letters = (state: string) =>
  dataSource.query<{ last_error: string; event: Sent }[]>(
    'SELECT last_error, event FROM event_deliveries WHERE subscription = $1 AND state = $2',
    [name, state],
  );

describe('forwarding', () => {
  it('sends what has committed, in order, in batches, with the key', async () => {
    const numbers = Array.from({ length: 1_200 }, (_, n) => n);
    await publish(...numbers);
    await eventually(() => expect(remote.numbers()).toEqual(numbers));
    expect(Math.max(...remote.batches)).toBeLessThanOrEqual(500);
    expect(remote.batches.length).toBeLessThan(10);
    expect([...remote.keys]).toEqual([`Bearer ${KEY}`]);
  });

  it.each([401, 403, 404, 429, 500, 503, 302])(
    'waits while the remote answers %i, and loses nothing',
    async (status) => {
      let refusals = 0;
      remote.answer = () => (++refusals < 3 ? status : 201);
      await publish(1);
      await publish(2);
      await eventually(() => expect(remote.numbers()).toEqual([1, 2]));
      expect(refusals).toBeGreaterThanOrEqual(3);
      expect(await letters('dead')).toEqual([]);
    },
  );

  it('lays aside what the remote refuses, and goes on with the rest', async () => {
    remote.answer = (events) => (events.some(({ data }) => data.datasetId === 3) ? 400 : 201);
    await publish(1, 2, 3, 4, 5);
    await eventually(() => expect(remote.numbers()).toEqual([1, 2, 4, 5]));
    const [letter] = await eventually(async () => {
      const found = await letters('dead');
      expect(found).toHaveLength(1);
      return found;
    });
    expect(letter).toMatchObject({
      last_error: 'The event bus answered 400: as told: 400',
      event: { data: { datasetId: 3 } },
    });
    const metrics = await process.app.get(Metrics).scrape();
    expect(metrics).toContain('varve_events_forwarded_total{outcome="refused"} 1');
  });

  it('sends what was laid aside once more where somebody says so', async () => {
    const again = () =>
      dataSource.query(
        `UPDATE event_deliveries SET state = 'pending', attempts = 0, due_at = now(),
           claimed_by = NULL, died_at = NULL WHERE subscription = $1 AND state = 'dead'`,
        [name],
      );
    remote.answer = () => 409;
    await again();
    await eventually(async () => expect(await letters('dead')).toHaveLength(1));
    let attempts = 0;
    remote.answer = () => (++attempts < 3 ? 503 : 201);
    await again();
    await eventually(() => expect(remote.numbers()).toEqual([3]));
    await eventually(async () => {
      expect(await letters('dead')).toEqual([]);
      expect(await letters('pending')).toEqual([]);
    });
  });
});
