import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Inject, Module, type INestApplication } from '@nestjs/common';
import { Pool } from 'pg';
import type { DataSource } from 'typeorm';
import { bareApp } from '../../../test/builders/bare-app.js';
import { eventually } from '../../../test/builders/eventually.js';
import { testDatabase, type TestDatabase } from '../../../test/database/test-database.js';
import {
  FailedForGood,
  JOB_QUEUE,
  type FailureListener,
  type JobContext,
  type JobHandler,
  type JobOptions,
  type JobQueue,
} from '../../core/contracts/job-queue.js';
import { UNIT_OF_WORK, type UnitOfWork } from '../../core/contracts/unit-of-work.js';
import type { JobId } from '../../core/ids.js';
import type { JsonObject } from '../../core/json.js';
import { RequestContext } from '../logging/request-context.js';
import { GraphileJobQueue } from './graphile-job-queue.js';
import { JobFailures } from './job-failures.js';
import { takeOver } from './job-leases.js';
import { JobRun } from './job-run.js';
import { JobsModule } from './jobs.module.js';

interface Row {
  id: JobId;
  state: string;
  attempts: number;
  progress_percent: number;
  progress_message: string;
  payload: JsonObject;
  result: JsonObject | null;
  error: string | null;
  queue_job_id: string;
}

/** A handler whose runs wait until the test lets them go. */
class Gate {
  readonly contexts: JobContext[] = [];
  private readonly opened = Promise.withResolvers<JsonObject | void>();

  readonly handler: JobHandler = async (_, context) => {
    this.contexts.push(context);
    return Promise.race([this.opened.promise, aborted(context.signal)]);
  };

  open(result?: JsonObject): void {
    this.opened.resolve(result);
  }
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const give = () => reject(signal.reason as Error);
    if (signal.aborted) give();
    signal.addEventListener('abort', give);
  });
}

describe('jobs', () => {
  let database: TestDatabase;
  let dataSource: DataSource;
  let pool: Pool;
  let apps: INestApplication[];

  beforeAll(async () => {
    database = await testDatabase();
    dataSource = await database.open();
    pool = new Pool({ connectionString: database.url, max: 2 });
    pool.on('error', () => undefined);
  });
  afterAll(async () => {
    await pool.end();
    await database.drop();
  });
  beforeEach(() => {
    apps = [];
  });
  afterEach(async () => {
    await Promise.all(apps.map((app) => app.close()));
    await dataSource.query('TRUNCATE jobs, job_workers, graphile_worker._private_jobs');
  });

  /** A replica that knows some kinds of jobs. */
  async function replica(
    handlers: Record<string, JobHandler>,
    onFailed?: FailureListener,
  ): Promise<INestApplication> {
    @Module({ imports: [JobsModule] })
    class Handlers {
      constructor(@Inject(JOB_QUEUE) queue: JobQueue) {
        for (const [kind, handler] of Object.entries(handlers))
          queue.define(kind, handler, onFailed);
      }
    }
    const { app } = await bareApp(database.url, [Handlers]);
    apps.push(app);
    return app;
  }

  const enqueue = (
    app: INestApplication,
    kind: string,
    payload: JsonObject = {},
    options: JobOptions = {},
  ) =>
    app
      .get<UnitOfWork>(UNIT_OF_WORK)
      .run((tx) => app.get<JobQueue>(JOB_QUEUE).enqueue(tx, kind, payload, options));

  const row = async (id: JobId): Promise<Row> => {
    const [found] = await dataSource.query<Row[]>('SELECT * FROM jobs WHERE id = $1', [id]);
    return found!;
  };
  const inState = (id: JobId, state: string) =>
    eventually(async () => {
      const found = await row(id);
      expect(found.state).toBe(state);
      return found;
    });
  const queueSize = async () => {
    const [found] = await dataSource.query<{ n: number }[]>(
      'SELECT count(*)::int AS n FROM graphile_worker.jobs',
    );
    return found!.n;
  };
  /** Spares the test the backoff. */
  const hurry = () =>
    dataSource.query(
      `SELECT graphile_worker.reschedule_jobs(array_agg(id), run_at => now())
       FROM graphile_worker.jobs WHERE locked_at IS NULL HAVING count(*) > 0;
       SELECT pg_notify('jobs:insert', '{"count": 1}')`,
    );

  it('does a job once its transaction has committed, and keeps what it tells', async () => {
    const app = await replica({
      add: async ({ a, b }, context) => {
        await context.progress(50.4, 'half\0way');
        return { sum: Number(a) + Number(b) };
      },
    });
    const id = await enqueue(app, 'add', { a: 1, b: 2 });
    expect(await inState(id, 'completed')).toMatchObject({
      attempts: 1,
      progress_percent: 100,
      progress_message: 'halfway',
      result: { sum: 3 },
      error: null,
    });
    await eventually(async () => expect(await queueSize()).toBe(0));
  });

  it('lists a transient job while it waits, and when it has failed, but not once it is done', async () => {
    const done: unknown[] = [];
    const app = await replica({
      note: async ({ name }) => {
        if (name === 'fails') throw new Error('as it was told to');
        done.push(name);
      },
    });
    const options = { isTransient: true, maxAttempts: 1 };
    const failed = await enqueue(app, 'note', { name: 'fails' }, options);
    const id = await enqueue(app, 'note', { name: 'works' }, options);
    expect(await inState(failed, 'failed')).toMatchObject({ error: 'as it was told to' });
    await eventually(async () => expect(await row(id)).toBeUndefined());
    expect(done).toEqual(['works']);
    await eventually(async () => expect(await queueSize()).toBe(0));
  });

  it('never does a job whose transaction has rolled back', async () => {
    const done: unknown[] = [];
    const app = await replica({ note: async ({ name }) => void done.push(name) });
    await expect(
      app.get<UnitOfWork>(UNIT_OF_WORK).run(async (tx) => {
        await app.get<JobQueue>(JOB_QUEUE).enqueue(tx, 'note', { name: 'rolled back' });
        throw new Error('no');
      }),
    ).rejects.toThrow('no');
    expect(await queueSize()).toBe(0);
    await inState(await enqueue(app, 'note', { name: 'committed' }), 'completed');
    expect(done).toEqual(['committed']);
  });

  it('waits as long as it is told to', async () => {
    const app = await replica({ note: async () => undefined });
    const id = await enqueue(app, 'note', {}, { delayMs: 3_600_000 });
    const [queued] = await dataSource.query<{ due: boolean }[]>(
      `SELECT run_at > now() + interval '59 minutes' AS due FROM graphile_worker.jobs`,
    );
    expect(queued!.due).toBe(true);
    await inState(await enqueue(app, 'note'), 'completed');
    expect((await row(id)).state).toBe('queued');
  });

  it('tries again after a failure, and forgets the error once it succeeds', async () => {
    let tries = 0;
    const app = await replica({
      flaky: async () => {
        if (++tries < 3) throw new Error(`failure ${tries}`);
      },
    });
    const id = await enqueue(app, 'flaky');
    await eventually(async () =>
      expect(await row(id)).toMatchObject({ state: 'queued', error: 'failure 1', attempts: 1 }),
    );
    await eventually(async () => {
      await hurry();
      expect(await row(id)).toMatchObject({ state: 'completed', error: null, attempts: 3 });
    });
    expect(tries).toBe(3);
  });

  it('has failed after its last attempt, with the message and no stack', async () => {
    const app = await replica({
      broken: () => Promise.reject(new Error('it is\0 broken')),
      odd: async () => {
        const reason: unknown = 'not even an error';
        throw reason;
      },
      unstorable: async () => ({ text: '\0' }),
    });
    const options = { maxAttempts: 1 };
    const broken = await enqueue(app, 'broken', {}, options);
    const odd = await enqueue(app, 'odd', {}, options);
    const unstorable = await enqueue(app, 'unstorable', {}, options);
    expect(await inState(broken, 'failed')).toMatchObject({ error: 'it is broken', attempts: 1 });
    expect((await inState(odd, 'failed')).error).toBe('not even an error');
    expect((await inState(unstorable, 'failed')).error).toMatch(/unicode/i);
    await eventually(async () => expect(await queueSize()).toBe(0));
  });

  describe('that have failed for good', () => {
    /** Notes in the transaction that it was told of a failure; the first time it cannot. */
    const noting = () => {
      let calls = 0;
      const listener: FailureListener = async (tx, { jobId, reason }) => {
        calls += 1;
        await tx.query('INSERT INTO job_workers (id) VALUES ($1)', [`${jobId} ${calls} ${reason}`]);
        if (calls === 1) throw new Error('not now');
      };
      return listener;
    };
    const told = async (id: JobId) => {
      const rows = await dataSource.query<{ id: string }[]>(
        `SELECT id FROM job_workers WHERE id LIKE $1 || ' %'`,
        [id],
      );
      return rows.map((row) => row.id.split(' ').slice(2).join(' '));
    };

    it('are told of once, after the last attempt and not before', async () => {
      const app = await replica({ bad: () => Promise.reject(new Error('bad')) });
      const id = await enqueue(app, 'bad', {}, { maxAttempts: 2 });
      await eventually(async () => expect((await row(id)).error).toBe('bad'));
      expect((await row(id)).state).toBe('queued');
      const listening = await replica({ bad: () => Promise.reject(new Error('bad')) }, noting());
      await eventually(async () => {
        await hurry();
        expect((await row(id)).state).toBe('failed');
      });
      // Two at once, and the first telling fails: it is told once all the same.
      const failures = listening.get(JobFailures);
      await eventually(async () => {
        await Promise.all([failures.tellAll(), failures.tellAll()]);
        expect(await told(id)).toEqual(['bad']);
      });
      await failures.tellAll();
      expect(await told(id)).toEqual(['bad']);
    });

    it('are told of as well where their process died of them', async () => {
      const app = await replica({ note: async () => undefined }, noting());
      const id = await enqueue(app, 'note', {}, { delayMs: 3_600_000 });
      await dataSource.query(
        `WITH q AS (UPDATE graphile_worker._private_jobs SET attempts = 3
           WHERE id = (SELECT queue_job_id FROM jobs WHERE id = $1))
         UPDATE jobs SET state = 'running', started_at = now(), attempts = 3 WHERE id = $1`,
        [id],
      );
      await takeOver(pool);
      await app.get(JobFailures).tellAll();
      await app.get(JobFailures).tellAll();
      expect(await told(id)).toEqual(['The process that did this job died each time.']);
    });

    it('are not tried again where their handler says that it would end the same way', async () => {
      let tries = 0;
      const app = await replica(
        {
          hopeless: () => {
            tries += 1;
            return Promise.reject(new FailedForGood(new Error('no such column')));
          },
        },
        noting(),
      );
      const id = await enqueue(app, 'hopeless');
      expect(await inState(id, 'failed')).toMatchObject({ attempts: 1, error: 'no such column' });
      await eventually(async () => {
        await app.get(JobFailures).tellAll();
        expect(await told(id)).toEqual(['no such column']);
      });
      await eventually(async () => expect(await queueSize()).toBe(0));
      expect(tries).toBe(1);
    });

    it('are not told of where they were cancelled or came to their end', async () => {
      const app = await replica({ note: async () => undefined }, noting());
      const [done, cancelled] = [
        await enqueue(app, 'note'),
        await enqueue(app, 'note', {}, { delayMs: 3_600_000 }),
      ];
      await inState(done, 'completed');
      await dataSource.query(
        `UPDATE jobs SET state = 'cancelled', finished_at = now() WHERE id = $1`,
        [cancelled],
      );
      await app.get(JobFailures).tellAll();
      expect([await told(done), await told(cancelled)]).toEqual([[], []]);
    });
  });

  it('carries the id of the request that it came from', async () => {
    const ids: (string | null)[] = [];
    const app = await replica({ note: async () => void ids.push(RequestContext.requestId()) });
    await inState(await RequestContext.run('request-7', () => enqueue(app, 'note')), 'completed');
    const id = await enqueue(app, 'note');
    await inState(id, 'completed');
    expect(ids).toEqual(['request-7', id]);
  });

  describe('with a key', () => {
    it('replace a job that has not started', async () => {
      const done: unknown[] = [];
      const app = await replica({ note: async ({ n }) => void done.push(n) });
      const late = { key: 'k', delayMs: 3_600_000 };
      const first = await enqueue(app, 'note', { n: 1 }, late);
      expect(await enqueue(app, 'note', { n: 2 }, late)).toBe(first);
      expect(await queueSize()).toBe(1);
      expect(await enqueue(app, 'note', { n: 3 }, { key: 'k' })).toBe(first);
      await inState(first, 'completed');
      expect(done).toEqual([3]);
    });

    it('leave one that has started alone', async () => {
      const gate = new Gate();
      const app = await replica({ note: gate.handler });
      const first = await enqueue(app, 'note', {}, { key: 'k' });
      await eventually(() => expect(gate.contexts).toHaveLength(1));
      const second = await enqueue(app, 'note', {}, { key: 'k' });
      expect(second).not.toBe(first);
      gate.open();
      await inState(first, 'completed');
      await inState(second, 'completed');
    });

    it('are one job when many are enqueued at once, and it is done once', async () => {
      const done: unknown[] = [];
      const app = await replica({ note: async ({ n }) => void done.push(n) });
      const ids = await Promise.all(
        Array.from({ length: 20 }, (_, n) =>
          enqueue(app, 'note', { n }, { key: 'k', delayMs: 3_600_000 }),
        ),
      );
      expect(new Set(ids).size).toBe(1);
      expect(await queueSize()).toBe(1);
      await enqueue(app, 'note', { n: 'last' }, { key: 'k' });
      await inState(ids[0]!, 'completed');
      expect(done).toEqual(['last']);
    });

    it('are not done by a worker that picked up what has been replaced', async () => {
      const app = await replica({ note: async () => undefined });
      const id = await enqueue(app, 'note', {}, { key: 'k', delayMs: 3_600_000 });
      const { queue_job_id } = await row(id);
      await enqueue(app, 'note', {}, { key: 'k', delayMs: 3_600_000 });
      const stale = { id: queue_job_id, attempts: 1, max_attempts: 3 };
      expect(await JobRun.begin(pool, 'note', { jobId: id }, stale)).toBeNull();
    });
  });

  describe('whose worker has died', () => {
    /** Makes it look as if a worker had picked the job up a while ago. */
    const pickUp = (id: JobId, worker: string, attempts: number) =>
      dataSource.query(
        `WITH q AS (
           UPDATE graphile_worker._private_jobs SET locked_by = $2, run_at = now(),
             locked_at = now() - interval '31 seconds', attempts = $3
           WHERE id = (SELECT queue_job_id FROM jobs WHERE id = $1))
         UPDATE jobs SET state = 'running', started_at = now(), attempts = $3 WHERE id = $1`,
        [id, worker, attempts],
      );

    it('are taken over, and the dead worker, should it live, changes nothing', async () => {
      const app = await replica({ note: async () => ({ by: 'the other' }) });
      const id = await enqueue(app, 'note', {}, { delayMs: 3_600_000 });
      const { queue_job_id } = await row(id);
      const dead = await JobRun.begin(
        pool,
        'note',
        { jobId: id },
        { id: queue_job_id, attempts: 1, max_attempts: 3 },
      );
      await pickUp(id, 'dead', 1);
      await takeOver(pool);
      await eventually(async () => {
        await hurry();
        expect(await row(id)).toMatchObject({ state: 'completed', attempts: 2 });
      });

      expect(await dead!.complete({ by: 'the dead' })).toBe(false);
      expect(await dead!.fail(new Error('no'))).toBe(false);
      await expect(dead!.context.progress(1, 'no')).rejects.toThrow('taken over');
      expect(dead!.context.signal.aborted).toBe(true);
      expect((await row(id)).result).toEqual({ by: 'the other' });
    });

    it('are left to a worker whose heart still beats', async () => {
      const app = await replica({ note: async () => undefined });
      const id = await enqueue(app, 'note', {}, { delayMs: 3_600_000 });
      // First the worker: the replica looks for the dead by itself.
      await dataSource.query(`INSERT INTO job_workers (id) VALUES ('living')`);
      await pickUp(id, 'living', 1);
      await takeOver(pool);
      expect(await dataSource.query('SELECT locked_by FROM graphile_worker.jobs')).toEqual([
        { locked_by: 'living' },
      ]);
      await dataSource.query(`UPDATE job_workers SET heartbeat_at = now() - interval '31 seconds'`);
      await takeOver(pool);
      await eventually(async () => {
        await hurry();
        expect(await row(id)).toMatchObject({ state: 'completed', attempts: 2 });
      });
    });

    it('have failed once they have killed as many as they may', async () => {
      const app = await replica({ note: async () => undefined });
      const id = await enqueue(app, 'note', {}, { delayMs: 3_600_000 });
      await pickUp(id, 'dead', 3);
      await takeOver(pool);
      expect(await row(id)).toMatchObject({
        state: 'failed',
        error: 'The process that did this job died each time.',
      });
      expect(await queueSize()).toBe(0);
    });

    it('tell that they live while they do', async () => {
      const gate = new Gate();
      const app = await replica({ note: gate.handler });
      const id = await enqueue(app, 'note');
      await eventually(() => expect(gate.contexts).toHaveLength(1));
      await eventually(async () => {
        const living = await dataSource.query<object[]>(
          `SELECT FROM graphile_worker.jobs q JOIN job_workers w ON w.id = q.locked_by`,
        );
        expect(living).toHaveLength(1);
      });
      gate.open();
      await inState(id, 'completed');
    });
  });

  describe('when their process stops', () => {
    it('are told, given back without counting the attempt, and done elsewhere', async () => {
      const first = new Gate();
      const one = await replica({ note: first.handler });
      const id = await enqueue(one, 'note', {}, { maxAttempts: 1 });
      await eventually(() => expect(first.contexts).toHaveLength(1));
      await one.close();
      expect(first.contexts[0]!.signal.aborted).toBe(true);
      expect(await row(id)).toMatchObject({ state: 'queued', attempts: 0, error: null });
      expect(await dataSource.query('SELECT FROM job_workers')).toEqual([]);

      const second = new Gate();
      second.open({ by: 'the second' });
      await replica({ note: second.handler });
      expect(await inState(id, 'completed')).toMatchObject({ result: { by: 'the second' } });
    });

    it('are completed where they have come to their end', async () => {
      const begun = Promise.withResolvers<void>();
      const app = await replica({
        note: async (_, { signal }) => {
          begun.resolve();
          await aborted(signal).catch(() => undefined);
          return { wrapped: 'up' };
        },
      });
      const id = await enqueue(app, 'note');
      await begun.promise;
      await app.close();
      expect(await row(id)).toMatchObject({ state: 'completed', result: { wrapped: 'up' } });
    });
  });

  it('are done again after every connection was cut', async () => {
    const gate = new Gate();
    const app = await replica({ note: gate.handler, other: async () => undefined });
    const id = await enqueue(app, 'note');
    await eventually(() => expect(gate.contexts).toHaveLength(1));
    await dataSource.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE datname = current_database() AND application_name = 'varve jobs'`,
    );
    gate.open();
    await eventually(async () => {
      await hurry();
      expect((await row(id)).state).toBe('completed');
    });
    await inState(await enqueue(app, 'other'), 'completed');
  });

  describe('that repeat', () => {
    it('have a row like any other', async () => {
      let runs = 0;
      await replica({ tidy: async () => ({ runs: ++runs }) });
      await dataSource.query(`SELECT graphile_worker.add_job('tidy', '{"_cron": {}}')`);
      await eventually(async () =>
        expect(await dataSource.query('SELECT kind, state, result FROM jobs')).toEqual([
          { kind: 'tidy', state: 'completed', result: { runs: 1 } },
        ]),
      );
    });

    it('keep their row over their attempts', async () => {
      let tries = 0;
      await replica({
        tidy: async () => {
          if (++tries < 2) throw new Error('not yet');
        },
      });
      await dataSource.query(`SELECT graphile_worker.add_job('tidy', '{"_cron": {}}')`);
      await eventually(async () => {
        await hurry();
        expect(await dataSource.query('SELECT state, attempts FROM jobs')).toEqual([
          { state: 'completed', attempts: 2 },
        ]);
      });
    });

    it('are refused with a time that is none', () => {
      expect(() => new GraphileJobQueue().every('tidy', 'hourly')).toThrow();
    });

    it('are known to all replicas by their schedule', async () => {
      await replica({});
      await eventually(async () =>
        expect(
          await dataSource.query('SELECT identifier FROM graphile_worker._private_known_crontabs'),
        ).toContainEqual({ identifier: 'platform.forget-jobs' }),
      );
    });

    it('need a handler', async () => {
      @Module({ imports: [JobsModule] })
      class Forgetful {
        constructor(@Inject(JOB_QUEUE) queue: JobQueue) {
          queue.every('nothing', '* * * * *');
        }
      }
      await expect(bareApp(database.url, [Forgetful])).rejects.toThrow('kind nothing');
    });
  });

  it('of one kind have one handler', () => {
    const queue = new GraphileJobQueue();
    queue.define('note', async () => undefined);
    expect(() => queue.define('note', async () => undefined)).toThrow('Two handlers');
  });
});
