import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { DataSource } from 'typeorm';
import type { components } from '../client/schema.js';
import { eventually } from '../builders/eventually.js';
import { testDatabase, type TestDatabase } from '../database/test-database.js';
import { Aftermath, replayed } from '../fire/aftermath.js';
import { BurningServer } from '../fire/burning-server.js';
import { Ledger } from '../fire/ledger.js';
import {
  busily,
  carefully,
  collecting,
  commitForm,
  deleting,
  drafting,
  insistently,
  merging,
  type Fire,
  type Writer,
} from '../fire/writers.js';
import { verifyOutside } from '../server-process.js';

type Version = components['schemas']['VersionView'];

/** For how long it burns; `FIRE_SECONDS=60` looks harder. */
const SECONDS = Number(process.env['FIRE_SECONDS'] ?? 20);

/** So often is the server killed at least, and so much succeeds between two kills. */
const KILLS = 5;
const SUCCESSES = 15;

/** Nobody merges into `line`: its history has one parent each. */
const WRITERS: Record<string, Writer> = {
  ann: insistently('line'),
  bob: insistently('line'),
  cyd: carefully('line'),
  dan: busily('side'),
  eve: busily('side'),
  fay: merging(['side', 'main'], ['main', 'side'], ['line', 'main']),
  gus: drafting('main'),
  hal: deleting('side'),
  collector: collecting,
};

describe('eight writers on three branches, beside a collector, while the server dies again and again', () => {
  let database: TestDatabase;
  let rows: DataSource;
  let dataDir: string;
  let fire: Fire;
  let aftermath: Aftermath;

  beforeAll(async () => {
    database = await testDatabase();
    rows = await database.open();
    dataDir = await mkdtemp(path.join(tmpdir(), 'varve-fire-'));
    const server = new BurningServer({
      DATABASE_URL: database.url,
      DATA_DIR: dataDir,
      GC_GRACE: '0s',
      STAGING_GRACE: '1s',
      UPLOAD_HOLD: '2s',
    });
    await server.start();
    fire = { server, ledger: new Ledger(), dataset: await aDataset(server), burning: true };
    await burn(fire);
    await server.kill();
    await server.start();
    aftermath = new Aftermath(fire);
  });

  afterAll(async () => {
    await fire?.server.abandon();
    await database.drop();
    await rm(dataDir, { recursive: true, force: true });
  });

  it('was hot: it was killed several times, and much was promised', () => {
    expect(fire.server.kills).toBeGreaterThanOrEqual(KILLS);
    expect(new Set(fire.ledger.versions.map(({ branch }) => branch))).toEqual(
      new Set(['line', 'side', 'main']),
    );
    expect(fire.ledger.merged.length).toBeGreaterThan(0);
  });

  it('answered nothing with a 5xx', () => {
    expect(fire.server.findings()).toEqual([]);
  });

  it('has kept everything that a 2xx said of a version', async () => {
    const complaints: string[] = [];
    for (const noted of fire.ledger.versions) complaints.push(...(await aftermath.untrue(noted)));
    expect(complaints).toEqual([]);
  });

  it('has let go what a 2xx said to be gone', async () => {
    for (const version of fire.ledger.deleted) {
      expect(await aftermath.status(`refs/${version}`)).toBe(410);
    }
    for (const draft of fire.ledger.discarded) {
      expect(await aftermath.status(`drafts/${draft}`)).toBe(404);
    }
  });

  it('has each promised version in its branch’s history, and what merges brought there', async () => {
    for (const branch of ['main', 'side', 'line']) {
      const history = await aftermath.history(branch);
      const numbers = new Set(history.map(({ versionNumber }) => versionNumber));
      const promised = [
        ...fire.ledger.versions.filter((noted) => noted.branch === branch),
        ...fire.ledger.merged.filter(({ into }) => into === branch),
      ];
      expect(promised.filter(({ versionNumber }) => !numbers.has(versionNumber))).toEqual([]);
    }
  });

  it('has a linear history where nobody merged, and did nothing twice that was asked for twice', async () => {
    const history = await aftermath.history('line');
    for (const [index, { parentId, mergeParentId }] of history.entries()) {
      expect({ parentId, mergeParentId }).toEqual({
        parentId: history[index + 1]?.id ?? null,
        mergeParentId: null,
      });
    }
    const messages = history.map(({ message }) => message);
    expect(messages).toHaveLength(new Set(messages).size);
  });

  it('reads every head, and any version, as its overlays say', async () => {
    const sample = fire.ledger.versions.filter((_, index) => index % 25 === 0);
    const refs = ['main', 'side', 'line', ...sample.map(({ versionNumber }) => versionNumber)];
    for (const ref of refs) {
      const [version] = await rows.query<{ id: number; fileCount: number }[]>(
        `SELECT v.id, v.file_count::integer AS "fileCount" FROM dataset_versions v
         LEFT JOIN dataset_pointers p ON p.dataset_version_id = v.id
         WHERE v.dataset_id = $1 AND (p.pointer_name = $2 OR v.version_number::text = $2)`,
        [fire.dataset, String(ref)],
      );
      const tree = await aftermath.tree(ref);
      expect(tree).toEqual(await replayed(rows, version!.id));
      expect(Object.keys(tree)).toHaveLength(version!.fileCount);
    }
  });

  it('has an unbroken chain of digests', async () => {
    const at = `/admin/verify?dataset=${fire.dataset}`;
    const started = await fire.server.call<{ id: number }>('POST', at, { json: {} });
    const job = await eventually(async () => {
      const answer = await fire.server.call('GET', `/jobs/${started?.body.id}`);
      return answer?.body['state'] === 'completed' ? answer.body : null;
    });
    expect(job).toMatchObject({ result: { firstFault: null } });
  });

  it('has told of each version once, and of none that was rolled back', async () => {
    const told = await rows.query<{ id: number; count: string }[]>(
      `SELECT (data->>'versionId')::integer AS id, count(*) FROM events
       WHERE type = 'dataset.version.created' GROUP BY 1`,
    );
    const versions = await rows.query<{ id: number; last: boolean }[]>(
      `SELECT id FROM dataset_versions WHERE status = 'committed'`,
    );
    expect(told.filter(({ count }) => count !== '1')).toEqual([]);
    const tellings = new Set(told.map(({ id }) => id));
    expect(versions.filter(({ id }) => !tellings.has(id))).toEqual([]);
    // A version is told of in the transaction that takes its number: none is told of without one.
    const [numbers] = await rows.query<{ last: number }[]>(
      'SELECT last_version_number AS last FROM datasets WHERE id = $1',
      [fire.dataset],
    );
    expect(told).toHaveLength(numbers!.last);
  });

  it('passes the outside check, beside the server and without it', async () => {
    const options = ['--data-dir', dataDir, '--database-url', database.url];
    expect(await verifyOutside(...options)).toMatchObject({ code: 0 });
    await fire.server.stop();
    expect(await verifyOutside(...options)).toMatchObject({ code: 0 });
  });
});

/** A dataset whose three branches start from one version. */
async function aDataset(server: BurningServer): Promise<number> {
  const made = await server.call<{ id: number }>('POST', '/datasets', { json: { name: 'fire' } });
  const dataset = `/datasets/${made?.body.id}`;
  const files = new Map(
    Array.from({ length: 300 }, (_, i) => [`base/${i}.txt`, `content ${i % 25}`]),
  );
  const first = await server.call<Version>('POST', `${dataset}/versions`, {
    body: commitForm('main', 'the beginning', files),
  });
  expect(first?.status).toBe(201);
  for (const name of ['side', 'line']) {
    const branch = await server.call('POST', `${dataset}/branches`, {
      json: { name, from: 'main' },
    });
    expect(branch?.status).toBe(201);
  }
  return made?.body.id ?? 0;
}

/** Lets everybody write while the server is killed, until the time is up and it was often enough. */
async function burn(fire: Fire): Promise<void> {
  const endAt = Date.now() + SECONDS * 1000;
  const writers = Object.entries(WRITERS).map(([name, writer]) => writer(fire, name));
  const isHotEnough = () => {
    const { versions, merged } = fire.ledger;
    const branches = new Set(versions.map(({ branch }) => branch));
    return fire.server.kills >= KILLS && branches.size === 3 && merged.length > 0;
  };
  while (Date.now() < endAt || !isHotEnough()) {
    await fire.server.untilSuccesses(SUCCESSES + Math.floor(Math.random() * 200));
    await fire.server.kill();
    await fire.server.start();
  }
  await fire.server.untilSuccesses(SUCCESSES);
  fire.burning = false;
  await Promise.all(writers);
}
