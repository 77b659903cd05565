/**
 * One process of the test under fire, to be killed: durable subscriptions that write down what they
 * see, and publishers that commit or roll back, until enough has been published.
 */
import { Pool } from 'pg';
import { EVENT_BUS, type EventBus } from '../../src/core/contracts/event-bus.js';
import { UNIT_OF_WORK, type UnitOfWork } from '../../src/core/contracts/unit-of-work.js';
import { EventsModule } from '../../src/events/events.module.js';
import { bareApp } from '../builders/bare-app.js';

const [url = '', wanted = '0', bus = 'memory:'] = process.argv.slice(2);
const SUBSCRIPTIONS = 5;
const PUBLISHERS = 2;
const SUBJECTS = 10;

const { app } = await bareApp(url, [EventsModule], { config: { EVENT_BUS_URL: bus } });
const events = app.get<EventBus>(EVENT_BUS);
const unitOfWork = app.get<UnitOfWork>(UNIT_OF_WORK);
const pool = new Pool({ connectionString: url, max: 8 });
pool.on('error', () => undefined);

for (let n = 0; n < SUBSCRIPTIONS; n++) {
  const name = `fire.${n}`;
  events.subscribe(
    '**',
    async ({ id }) => {
      await pool.query('INSERT INTO seen (subscription, event_id) VALUES ($1, $2)', [name, id]);
    },
    // The database is away now and then: that alone makes no dead letter here.
    { name, durable: true, attempts: 100, backoffMs: 5 },
  );
}

async function publish(publisher: number): Promise<void> {
  for (let n = 0; ; n++) {
    try {
      const { rows } = await pool.query<{ n: number }>('SELECT count(*)::int AS n FROM published');
      if (rows[0]!.n >= Number(wanted)) return;
      await unitOfWork.run(async (tx) => {
        const subject = `fire/${process.pid}/${publisher}/${n % SUBJECTS}`;
        const id = await events.publish(tx, 'dataset.restored', subject, { datasetId: n });
        await tx.query('INSERT INTO published (event_id, subject, n) VALUES ($1, $2, $3)', [
          id,
          subject,
          n,
        ]);
        if (n % 7 === 3) throw new Error('rolled back');
      });
    } catch {
      // Rolled back, or cut off: what has committed is in the table.
    }
  }
}

await Promise.all(Array.from({ length: PUBLISHERS }, (_, publisher) => publish(publisher)));
process.stdout.write('published\n');
