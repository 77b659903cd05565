import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Client } from 'pg';
import { eventually } from '../../../test/builders/eventually.js';
import { testDatabase, type TestDatabase } from '../../../test/database/test-database.js';
import { readAfter } from './event-log.js';
import { LOG_START } from './log-position.js';

describe('readAfter', () => {
  let database: TestDatabase;
  let clients: Client[];

  beforeAll(async () => {
    database = await testDatabase();
  });
  afterAll(() => database.drop());
  beforeEach(async () => {
    clients = [0, 1].map(() => new Client({ connectionString: database.url }));
    await Promise.all(clients.map((client) => client.connect()));
  });
  afterEach(async () => {
    await clients[0]!.query('TRUNCATE events');
    await Promise.all(clients.map((client) => client.end()));
  });

  const publish = (client: Client, subject: string) =>
    client.query(`INSERT INTO events (type, source, subject, data) VALUES ('a.b', '/', $1, '{}')`, [
      subject,
    ]);
  const read = async (after = LOG_START) => {
    const { entries, ...rest } = await readAfter(clients[0]!, after);
    return { subjects: entries.map(({ event }) => event.subject), ...rest };
  };

  it('gives what follows a position, and where that ends', async () => {
    for (const subject of ['1', '2', '3']) await publish(clients[0]!, subject);
    // Whatever runs in other databases of the cluster holds them back for a while.
    const positions = await eventually(async () => {
      const { entries } = await readAfter(clients[0]!, LOG_START);
      expect(entries).toHaveLength(3);
      return entries.map(({ position }) => position);
    });
    const [first, , last] = positions;
    expect(await read(first)).toEqual({
      subjects: ['2', '3'],
      end: last,
      isFull: false,
      isHeldBack: false,
    });
    expect(await read(last)).toMatchObject({ subjects: [], end: last, isHeldBack: false });
  });

  it('holds back, and says so, what is younger than a transaction that still runs', async () => {
    const [one, other] = clients as [Client, Client];
    await publish(one, 'before');
    await eventually(async () => expect(await read()).toMatchObject({ isHeldBack: false }));
    await other.query('BEGIN; SELECT pg_current_xact_id()');
    // Nothing has been committed yet that would have to wait.
    expect(await read()).toMatchObject({ subjects: ['before'], isHeldBack: false });
    await publish(one, 'meanwhile');
    expect(await read()).toMatchObject({ subjects: ['before'], isHeldBack: true });
    await publish(other, 'late');
    await other.query('COMMIT');
    await eventually(async () =>
      expect(await read()).toMatchObject({
        subjects: ['before', 'late', 'meanwhile'],
        isHeldBack: false,
      }),
    );
  });

  it('orders by numbers, not by their texts', async () => {
    await clients[0]!.query(
      `INSERT INTO events (transaction_id, position, type, source, subject, data) VALUES
         ('9', 10, 'a.b', '/', '2', '{}'), ('9', 9, 'a.b', '/', '1', '{}'), ('8', 11, 'a.b', '/', '0', '{}'), ('10', 1, 'a.b', '/', '3', '{}')`,
    );
    expect((await read()).subjects).toEqual(['0', '1', '2', '3']);
  });
});
