import { Logger, run as runWorker, type Runner } from 'graphile-worker';
import { Client } from 'pg';
import type { Bench } from '../harness/bench.js';
import { perSecond } from '../harness/figures.js';
import { race, type Contestant } from '../harness/race.js';
import { BenchBus, newDatabase } from './bus.js';

/** Publishes, and then measures how long so many subscriptions take from the log's beginning. */
function subscriptions(bench: Bench, name: string, many: number, events: number): Contestant {
  return {
    name,
    note: `${events.toLocaleString('en-US')} events on a thousand subjects, published before; empty handlers in one process`,
    async run() {
      const url = await newDatabase(bench);
      const names = Array.from({ length: many }, (_, n) => `bench.${n}`);
      const client = new Client({ connectionString: url });
      await client.connect();
      await client.query(
        `INSERT INTO event_subscriptions (name, pattern) SELECT unnest($1::text[]), '**'`,
        [names],
      );
      await client.end();
      const process = await BenchBus.start(url);
      await process.publish(events);
      const started = performance.now();
      await process.handle(names, events);
      const seconds = (performance.now() - started) / 1000;
      await process.close();
      return seconds;
    },
  };
}

function graphileWorker(bench: Bench, jobs: number): Contestant {
  return {
    name: 'graphile-worker',
    note: `${jobs.toLocaleString('en-US')} empty jobs, added before; one process with 16 at a time, claimed and completed in batches of 100`,
    async run() {
      const url = await newDatabase(bench);
      const client = new Client({ connectionString: url });
      await client.connect();
      await client.query(
        `SELECT count(*) FROM generate_series(1, $1) n,
           LATERAL graphile_worker.add_job('empty', json_build_object('n', n)) j`,
        [jobs],
      );
      await client.end();
      const { promise, resolve } = Promise.withResolvers<void>();
      let done = 0;
      const started = performance.now();
      const runner: Runner = await runWorker({
        connectionString: url,
        concurrency: 16,
        noHandleSignals: true,
        logger: new Logger(() => () => undefined),
        preset: { worker: { localQueue: { size: 100 }, completeJobBatchDelay: 0 } },
        taskList: { empty: () => void (++done === jobs && resolve()) },
      });
      await promise;
      const seconds = (performance.now() - started) / 1000;
      await runner.stop();
      return seconds;
    },
  };
}

export const oneSubscription = race('50,000 events to one durable subscription', (bench) => {
  const events = bench.quick ? 1_000 : 50_000;
  return {
    contestants: [subscriptions(bench, 'Varve', 1, events), graphileWorker(bench, events)],
    comparisons: [{ contestant: 'Varve', against: 'graphile-worker', atLeast: 3 }],
    rounds: 3,
    warmUps: 0,
    figure: perSecond(events),
  };
});

export const fiveSubscriptions = race('5 durable subscriptions', (bench) => {
  const events = bench.quick ? 1_000 : 50_000;
  return {
    contestants: [subscriptions(bench, 'Varve', 5, events), subscriptions(bench, 'one', 1, events)],
    comparisons: [
      { contestant: 'Varve', against: 'one', atLeast: 1 / 2.5, target: '≤ 2.5 times its time' },
    ],
    rounds: 3,
    warmUps: 0,
    figure: perSecond(events),
  };
});
