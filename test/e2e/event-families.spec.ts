import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import type { DataSource } from 'typeorm';
import { EvaluationStore } from '../../src/evaluation/evaluation-store.js';
import { RecordedMetrics } from '../../src/monitoring/recorded-metrics.js';
import { QueueStore } from '../../src/queue/queue-store.js';
import { startEventBus, type TestApp } from '../app.js';
import { eventually } from '../builders/eventually.js';
import { settledLog } from '../builders/settled-log.js';
import { testDatabase, type TestDatabase } from '../database/test-database.js';

let database: TestDatabase;
let dataSource: DataSource;
/** Two replicas: whichever handles an event, both tell of it. */
let replicas: TestApp[];

beforeAll(async () => {
  database = await testDatabase();
  dataSource = await database.open();
  replicas = await Promise.all([startEventBus({}, database)]);
  replicas.push(await startEventBus({}, { ...database, drop: () => Promise.resolve() }));
});
afterAll(async () => {
  await replicas[1]!.close();
  await replicas[0]!.close();
});

const publish = async (
  ...events: { type: string; data: object; subject?: string; time?: string }[]
) => {
  const [bus] = replicas;
  const answer = await fetch(`${bus!.url}/api/v1/events/batch`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${bus!.admin.token}`, 'Content-Type': 'application/json' },
    body: JSON.stringify({ events: events.map((event) => ({ id: randomUUID(), ...event })) }),
  });
  expect(answer.status).toBe(201);
};
const scrape = async (bus: TestApp) => {
  const answer = await fetch(`${bus.url}/metrics`, {
    headers: { Authorization: `Bearer ${bus.admin.token}` },
  });
  return (await answer.text()).split('\n');
};
/** What each replica's metrics say, without comments. */
const told = async (series: string) => {
  const all = await Promise.all(replicas.map(scrape));
  return all.map((lines) =>
    lines
      .find((line) => line.startsWith(`${series} `))
      ?.split(' ')
      .at(-1),
  );
};
/** The sum over the replicas: each counts what it has refused itself. */
const refused = async (series: string) => {
  const values = await told(series);
  return values.reduce((sum, value) => sum + Number(value ?? 0), 0);
};
const eventsOf = async (subject: string, type: string) => {
  await settledLog(dataSource);
  const { data } = await replicas[0]!.admin.api.GET('/api/v1/events', {
    params: { query: { subject, type } },
  });
  return data!.items.map((event) => event.data as Record<string, unknown>);
};
/** Has every event of the subject handled again, as after a crash. */
const rewind = async (subscription: string) => {
  const { response } = await replicas[0]!.admin.api.POST(
    '/api/v1/events/subscriptions/{subscription}/rewind',
    { params: { path: { subscription } }, body: { cursor: '0-0' } },
  );
  expect(response.status).toBe(200);
};
const settled = (subscription: string) =>
  eventually(async () => {
    const { data } = await replicas[0]!.admin.api.GET(
      '/api/v1/events/subscriptions/{subscription}',
      { params: { path: { subscription } } },
    );
    expect(data).toMatchObject({ lagSeconds: 0, pending: 0, dead: 0, holder: expect.any(String) });
  });
const files = () =>
  dataSource.query<{ reference_count: string }[]>('SELECT reference_count FROM files');

describe('evaluations', () => {
  const of = (id: string, what: string, data: object = {}) => ({
    type: `evaluation.${what}`,
    subject: `evaluation/${id}`,
    data: { evaluationId: id, ...data },
  });

  it('are counted while they run, and their results are stored', async () => {
    await publish(of('e1', 'started'), of('e2', 'started'));
    await eventually(async () =>
      expect(await told('varve_evaluations_active')).toEqual(['2', '2']),
    );
    expect(await eventsOf('evaluation/e1', 'metrics.evaluation.started')).toEqual([
      { evaluationId: 'e1', active: expect.any(Number) },
    ]);
    await publish(of('e1', 'completed', { result: { score: 0.9 } }));
    const [over] = await eventually(async () => {
      const found = await eventsOf('evaluation/e1', 'cleanup.evaluation');
      expect(found).toHaveLength(1);
      return found;
    });
    expect(over).toMatchObject({ evaluationId: 'e1', outcome: 'completed' });
    expect(await told('varve_evaluations_active')).toEqual(['1', '1']);
    expect(await told('varve_evaluations_completed')).toEqual(['1', '1']);
    const [stored] = await dataSource.query<{ id: number; content_hash: string }[]>(
      'SELECT id, content_hash, file_type FROM files',
    );
    expect(stored).toEqual({
      id: over!['fileId'],
      content_hash: over!['sha256'],
      file_type: 'json',
    });
    expect(await files()).toEqual([{ reference_count: '1' }]);
  });

  it('that fail are to be tried again, three times, and critical ones raise an alert', async () => {
    for (const retryCount of [undefined, 1, 2, 3]) {
      await publish(
        of('e3', 'failed', { error: 'no memory', retryCount, critical: retryCount === 3 }),
      );
    }
    await eventually(async () =>
      expect(await eventsOf('evaluation/e3', 'cleanup.evaluation')).toHaveLength(1),
    );
    expect(await eventsOf('evaluation/e3', 'evaluation.retry')).toEqual(
      [1, 2, 3].map((retryCount) => ({ evaluationId: 'e3', retryCount, error: 'no memory' })),
    );
    expect(await eventsOf('evaluation/e3', 'alert.critical')).toEqual([
      { about: 'evaluation e3', message: 'no memory' },
    ]);
    expect(await told('varve_evaluations_failed')).toEqual(['4', '4']);
  });

  it('are the same after all of their events have come again', async () => {
    await publish(of('e2', 'failed', { error: 'x' }), of('e2', 'started', { retryCount: 1 }));
    await publish(of('e2', 'completed', { result: { score: 0.9 } }));
    // What comes late changes nothing any more.
    await publish(of('e2', 'started'), of('e2', 'failed', { error: 'late' }));
    await publish(of('e2', 'completed', { result: { score: 0.1 } }));
    await eventually(async () =>
      expect(await told('varve_evaluations_completed')).toEqual(['2', '2']),
    );
    await settled('evaluation.keep');
    const before = await told('varve_evaluations_failed');
    await rewind('evaluation.keep');
    await settled('evaluation.keep');
    expect(await told('varve_evaluations_active')).toEqual(['0', '0']);
    expect(await told('varve_evaluations_completed')).toEqual(['2', '2']);
    expect(await told('varve_evaluations_failed')).toEqual(before);
    // Both had the same result, which is stored once and referred to twice.
    expect(await files()).toEqual([{ reference_count: '2' }]);
  });

  it('that make no sense are dead letters', async () => {
    await publish(of('e4', 'failed', { error: 'x', retryCount: -1 }), of('', 'started'));
    const letters = await eventually(async () => {
      const { data } = await replicas[0]!.admin.api.GET('/api/v1/events/dead-letters', {
        params: { query: { subscription: 'evaluation.keep' } },
      });
      expect(data!.items).toHaveLength(2);
      return data!.items;
    });
    expect(letters.map(({ lastError }) => lastError).sort()).toEqual([
      'RangeError: evaluationId takes 1 to 200 characters.',
      'RangeError: retryCount takes a whole number from 0.',
    ]);
  });

  it('are forgotten in time, and let their results go', async () => {
    const store = replicas[0]!.app.get(EvaluationStore, { strict: false });
    const { signal } = new AbortController();
    expect(await store.forget(3_600_000, signal)).toBe(0);
    await dataSource.query(`UPDATE evaluations SET changed_at = now() - interval '2 hours'`);
    expect(await store.forget(3_600_000, signal)).toBe(3);
    expect(await files()).toEqual([{ reference_count: '0' }]);
    expect(await told('varve_evaluations_completed')).toEqual(['2', '2']);
  });
});

describe('queues', () => {
  const task = (what: 'added' | 'processed', queue: string, taskId: string, time?: string) => ({
    type: `queue.task.${what}`,
    subject: `task/${queue}/${taskId}`,
    data: { queue, taskId },
    ...(time && { time }),
  });
  const at = (seconds: number) => new Date(Date.UTC(2026, 0, 1, 0, 0, seconds)).toISOString();
  const totals = async (queue: string) => {
    const names = ['depth', 'tasks_added_total', 'tasks_processed_total', 'wait_seconds_total'];
    const all = await Promise.all(
      names.map((name) => told(`varve_queue_${name}{queue="${queue}"}`)),
    );
    for (const [first, second] of all) expect(second).toBe(first);
    return all.map(([first]) => Number(first));
  };

  it('have a depth, a throughput and waiting times, whichever half is told first', async () => {
    await publish(
      task('added', 'mail', 'a', at(0)),
      task('added', 'mail', 'b', at(0)),
      task('added', 'mail', 'c', at(0)),
      task('processed', 'mail', 'a', at(2)),
      // Told before it was added, as by another publisher.
      task('processed', 'mail', 'd', at(5)),
    );
    await eventually(async () => expect(await totals('mail')).toEqual([2, 3, 2, 2]));
    await publish(task('added', 'mail', 'd', at(1)), task('added', 'mail', 'b', at(3)));
    await eventually(async () => expect(await totals('mail')).toEqual([2, 4, 2, 6]));
    await settled('queue.keep');
    await rewind('queue.keep');
    await settled('queue.keep');
    expect(await totals('mail')).toEqual([2, 4, 2, 6]);
  });

  it('are followed up to a number, under names that can be labels', async () => {
    const series = (reason: string) => `varve_queue_events_refused_total{reason="${reason}"}`;
    await publish(task('added', 'no good', 'a'), task('added', 'mail', 'x'.repeat(201)));
    await eventually(async () => expect(await refused(series('queue-name'))).toBe(1));
    await eventually(async () => expect(await refused(series('task-id'))).toBe(1));
    await publish(...Array.from({ length: 130 }, (_, n) => task('added', `many-${n}`, 'a')));
    await eventually(async () =>
      expect(await refused(series('too-many-queues'))).toBeGreaterThan(0),
    );
    await settled('queue.keep');
    const { length } = (await scrape(replicas[0]!)).filter((line) =>
      line.startsWith('varve_queue_depth{'),
    );
    expect(length + (await refused(series('too-many-queues')))).toBe(131);
    // A few handlers may have counted at the same moment.
    expect(length).toBeLessThan(120);
  });

  it('forget what never comes, and queues that nobody uses', async () => {
    const store = replicas[0]!.app.get(QueueStore, { strict: false });
    const { signal } = new AbortController();
    expect(await store.forget(3_600_000, signal)).toBe(0);
    await dataSource.query(`UPDATE queue_tasks SET noted_at = now() - interval '2 hours'
      WHERE queue = 'mail' OR queue = 'many-0'`);
    await dataSource.query(`UPDATE queue_totals SET seen_at = now() - interval '2 hours'
      WHERE queue = 'many-0'`);
    const waiting = await dataSource.query<object[]>(
      `SELECT FROM queue_tasks WHERE queue IN ('mail', 'many-0')`,
    );
    expect(await store.forget(3_600_000, signal)).toBe(waiting.length);
    expect(await totals('mail')).toEqual([0, 4, 2, 6]);
    expect(await told('varve_queue_depth{queue="many-0"}')).toEqual([undefined, undefined]);
  });
});

describe('measurements', () => {
  const measured = (data: object, time?: string) => ({
    type: 'monitoring.metric.recorded',
    data,
    ...(time && { time }),
  });
  const series = (reason: string) => `varve_recorded_metrics_refused_total{reason="${reason}"}`;

  it('become series, the same on every replica', async () => {
    const labels = { model: 'a"b\\c' };
    await publish(
      measured({ name: 'accuracy', value: 0.5, labels }, '2026-01-01T00:00:02Z'),
      measured({ name: 'accuracy', value: 0.4, labels }, '2026-01-01T00:00:01Z'),
      measured({ name: 'jobs_total', value: 2, kind: 'counter' }),
      measured({ name: 'jobs_total', value: 3, kind: 'counter' }),
    );
    await eventually(async () => expect(await told('jobs_total')).toEqual(['5', '5']));
    await settled('monitoring.keep');
    await rewind('monitoring.keep');
    await settled('monitoring.keep');
    expect(await told('jobs_total')).toEqual(['5', '5']);
    expect(await told('accuracy{model="a\\"b\\\\c"}')).toEqual(['0.5', '0.5']);
  });

  it('that can be no series are counted', async () => {
    await publish(
      measured({ name: 'cpu.load', value: 1 }),
      measured({ name: 'varve_fake', value: 1 }),
      measured({ name: 'jobs_total', value: -1, kind: 'counter' }),
      measured({ name: 'ok', value: 1, labels: { 'a-b': 'x' } }),
      measured({ name: 'ok', value: 1, labels: { __name__: 'x' } }),
      measured({ name: 'ok', value: 1, labels: { a: 1 } }),
      measured({ name: 'accuracy', value: 1, kind: 'counter' }),
    );
    await settled('monitoring.keep');
    await eventually(async () => {
      expect(await refused(series('name'))).toBe(2);
      expect(await refused(series('value'))).toBe(1);
      expect(await refused(series('labels'))).toBe(3);
      expect(await refused(series('series'))).toBe(1);
    });
  });

  it('are bounded in their number, and make room in time', async () => {
    const before = await refused(series('series'));
    const user = (n: number) => measured({ name: 'by_user', value: n, labels: { user: `u${n}` } });
    await publish(
      ...Array.from({ length: 150 }, (_, n) => ({ ...user(n), subject: 'one by one' })),
    );
    await eventually(async () => expect(await refused(series('series'))).toBe(before + 50));
    const shown = (await scrape(replicas[1]!)).filter((line) => line.startsWith('by_user{'));
    expect(shown).toHaveLength(100);
    const metrics = replicas[0]!.app.get(RecordedMetrics, { strict: false });
    expect(await metrics.forget()).toBe(0);
    await dataSource.query(
      `UPDATE recorded_metrics SET seen_at = now() - interval '2 days' WHERE name = 'by_user'`,
    );
    expect(await metrics.forget()).toBe(100);
  });
});
