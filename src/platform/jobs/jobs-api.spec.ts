import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import {
  Controller,
  Inject,
  Module,
  Post,
  Query,
  Res,
  type INestApplication,
} from '@nestjs/common';
import type { Response } from 'express';
import request from 'supertest';
import type { DataSource } from 'typeorm';
import { bareApp } from '../../../test/builders/bare-app.js';
import { eventually } from '../../../test/builders/eventually.js';
import { testDatabase, type TestDatabase } from '../../../test/database/test-database.js';
import { AccessModule } from '../../access/access.module.js';
import { hashSecret } from '../../access/key-secret.js';
import { JOB_QUEUE, type JobContext, type JobQueue } from '../../core/contracts/job-queue.js';
import { UNIT_OF_WORK, type UnitOfWork } from '../../core/contracts/unit-of-work.js';
import type { JobId } from '../../core/ids.js';
import type { Principal } from '../../core/principal.js';
import { SignedIn } from '../http/access.decorators.js';
import { CurrentPrincipal } from '../http/principal.decorator.js';
import { AcceptsJob } from './accepted.decorator.js';
import type { JobView } from './job.view.js';
import { JobsApiModule } from './jobs-api.module.js';
import { JobsModule } from './jobs.module.js';
import { JobsService } from './jobs.service.js';

interface JobPage {
  items: JobView[];
  nextCursor: string | null;
}

@Controller('start')
class Starter {
  constructor(
    @Inject(JOB_QUEUE) private readonly queue: JobQueue,
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
    private readonly jobs: JobsService,
  ) {}

  @Post()
  @SignedIn()
  @AcceptsJob()
  async start(
    @CurrentPrincipal() principal: Principal,
    @Query('kind') kind: string,
    @Res({ passthrough: true }) res: Response,
  ): Promise<JobView> {
    const id = await this.unitOfWork.run((tx) =>
      this.queue.enqueue(tx, kind, {}, { createdBy: principal.userId }),
    );
    return this.jobs.accepted(res, principal, id);
  }
}

const running: JobContext[] = [];

@Module({ imports: [JobsModule] })
class Worker {
  constructor(@Inject(JOB_QUEUE) queue: JobQueue) {
    queue.define(
      'endless',
      (_, context) =>
        new Promise((_resolve, reject) => {
          running.push(context);
          context.signal.addEventListener('abort', () => reject(context.signal.reason as Error));
        }),
    );
    queue.define('quick', async () => ({ done: true }));
  }
}

describe('the jobs API', () => {
  let database: TestDatabase;
  let dataSource: DataSource;
  let apps: INestApplication[];
  /** Of a replica that does no jobs of these kinds, and of the one that does. */
  let url: string;
  let workerUrl: string;

  beforeAll(async () => {
    database = await testDatabase();
    dataSource = await database.open();
    const api = await bareApp(database.url, [AccessModule, JobsModule, JobsApiModule], {
      controllers: [Starter],
    });
    const worker = await bareApp(database.url, [AccessModule, Worker, JobsApiModule]);
    apps = [api.app, worker.app];
    url = api.url;
    workerUrl = worker.url;
    for (const [name, role] of [
      ['admin', 'admin'],
      ['ada', 'member'],
      ['bob', 'member'],
    ]) {
      await dataSource.query('INSERT INTO users (name, role) VALUES ($1, $2)', [name, role]);
      await dataSource.query(
        `INSERT INTO api_keys (user_id, name, prefix, secret_hash)
         SELECT id, 'key', '', $2 FROM users WHERE name = $1`,
        [name, hashSecret(name!)],
      );
    }
  });
  afterAll(async () => {
    await Promise.all(apps.map((app) => app.close()));
    await database.drop();
  });
  beforeEach(async () => {
    running.length = 0;
    await dataSource.query('TRUNCATE jobs, graphile_worker._private_jobs');
  });

  const as = (who: string) => ({ Authorization: `Bearer ${who}` });
  const start = async (who: string, kind: string) => {
    const answer = await request(url).post(`/start?kind=${kind}`).set(as(who));
    expect(answer.status).toBe(202);
    return answer.body as JobView;
  };
  const get = async (who: string, path: string) => request(url).get(path).set(as(who));
  const cancel = async (who: string, id: string, at = url) =>
    (await request(at).delete(`/jobs/${id}`).set(as(who))).status;
  const list = async (who: string, query = '') => (await get(who, `/jobs${query}`)).body as JobPage;
  const runningOf = (id: string) =>
    eventually(() => running.find(({ jobId }) => jobId === (id as JobId)) ?? null);
  const stateOf = async (id: string) => ((await get('admin', `/jobs/${id}`)).body as JobView).state;

  it('tells how a job goes, from where 202 says', async () => {
    const answer = await request(url).post('/start?kind=quick').set(as('ada'));
    const { id } = answer.body as JobView;
    expect(answer.headers['location']).toBe(`/api/v1/jobs/${id}`);
    const job = await eventually(async () => {
      const found = (await get('ada', `/jobs/${id}`)).body as JobView;
      expect(found.state).toBe('completed');
      return found;
    });
    expect(job).toMatchObject({
      id,
      kind: 'quick',
      progress: { percent: 100, message: '' },
      attempts: 1,
      result: { done: true },
      error: null,
      createdBy: 2,
    });
    expect(job.finishedAt).not.toBeNull();
  });

  it('shows jobs to their owner and to administrators alone', async () => {
    const { id } = await start('ada', 'nobody-does-this');
    expect((await get('ada', `/jobs/${id}`)).status).toBe(200);
    expect((await get('admin', `/jobs/${id}`)).status).toBe(200);
    expect((await get('bob', `/jobs/${id}`)).status).toBe(404);
    expect(await cancel('bob', id)).toBe(404);
    expect((await list('bob')).items).toEqual([]);
    expect((await list('ada')).items).toHaveLength(1);
    expect((await list('admin')).items).toHaveLength(1);
    expect((await request(url).get('/jobs')).status).toBe(401);
  });

  it('lists by state and kind, the newest first, each once', async () => {
    const ids: string[] = [];
    for (let n = 0; n < 5; n++) ids.unshift((await start('ada', 'nobody-does-this')).id);
    const done = await start('ada', 'quick');
    await eventually(async () => expect(await stateOf(done.id)).toBe('completed'));

    const seen: string[] = [];
    let cursor: string | null = '';
    while (cursor !== null) {
      const page: JobPage = await list(
        'ada',
        `?kind=nobody-does-this&limit=2${cursor && `&cursor=${cursor}`}`,
      );
      seen.push(...page.items.map(({ id }) => id));
      cursor = page.nextCursor;
    }
    expect(seen).toEqual(ids);
    expect((await list('ada', '?state=completed')).items.map(({ id }) => id)).toEqual([done.id]);
    expect((await list('ada', '?state=queued')).items).toHaveLength(5);
  });

  it.each(['?state=x', '?kind=a&kind=b', '?cursor=x', '?cursor=MA', '?limit=0', '?who=me'])(
    'refuses to list %s',
    async (query) => {
      expect((await get('ada', `/jobs${query}`)).status).toBe(400);
    },
  );

  it.each(['1', 'x', '5B0E7A0E-9A1C-4C0E-8A57-0D2F6F7D1C7E'])('refuses %j as an id', async (id) => {
    expect((await get('ada', `/jobs/${id}`)).status).toBe(400);
    expect(await cancel('ada', id)).toBe(400);
  });

  it('takes a cancelled job out of the queue', async () => {
    const { id } = await start('ada', 'nobody-does-this');
    expect(await cancel('ada', id)).toBe(204);
    expect(await stateOf(id)).toBe('cancelled');
    expect(await dataSource.query('SELECT FROM graphile_worker.jobs')).toEqual([]);
  });

  it('tells a running job that it is cancelled, whichever replica runs it', async () => {
    for (const at of [url, workerUrl]) {
      const { id } = await start('ada', 'endless');
      const context = await runningOf(id);
      expect(await cancel('ada', id, at)).toBe(204);
      await eventually(() => expect(context.signal.aborted).toBe(true));
      await eventually(async () =>
        expect(await dataSource.query('SELECT FROM graphile_worker.jobs')).toEqual([]),
      );
      expect(await stateOf(id)).toBe('cancelled');
      expect(running.filter(({ jobId }) => jobId === id)).toHaveLength(1);
    }
  });

  it('says so where there is nothing left to cancel', async () => {
    const { id } = await start('ada', 'quick');
    await eventually(async () => expect(await stateOf(id)).toBe('completed'));
    const answer = await request(url).delete(`/jobs/${id}`).set(as('ada'));
    expect(answer.status).toBe(409);
    expect(answer.body).toMatchObject({ type: 'urn:varve:problem:job-ended', state: 'completed' });
  });

  it('forgets jobs that ended long ago', async () => {
    const { id } = await start('ada', 'nobody-does-this');
    const { id: old } = await start('ada', 'nobody-does-this');
    await cancel('ada', id);
    await cancel('ada', old);
    await dataSource.query(
      `UPDATE jobs SET finished_at = now() - interval '31 days' WHERE id = $1`,
      [old],
    );
    await dataSource.query(`SELECT graphile_worker.add_job('platform.forget-jobs', '{}')`);
    await eventually(async () => expect((await get('ada', `/jobs/${old}`)).status).toBe(404));
    expect(await stateOf(id)).toBe('cancelled');
  });
});
