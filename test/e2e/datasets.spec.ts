import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createHash } from 'node:crypto';
import { Client } from 'pg';
import { startApp, type TestApp, type TestUser } from '../app.js';
import { eventually } from '../builders/eventually.js';
import type { components } from '../client/schema.js';

type Dataset = components['schemas']['DatasetView'];
type Problem = components['schemas']['ProblemView'] & Record<string, unknown>;

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

let server: TestApp;
let ada: TestUser;
let bob: TestUser;
let database: Client;

beforeAll(async () => {
  server = await startApp();
  ada = await server.user('ada');
  bob = await server.user('bob');
  database = new Client(server.databaseUrl);
  await database.connect();
});

afterAll(async () => {
  await database.end();
  await server.close();
});

/** What an operation answered; throws where it was a problem. */
async function ok<T>(call: Promise<{ data?: T; error?: unknown; response: Response }>): Promise<T> {
  const { data, error, response } = await call;
  if (!response.ok) throw new Error(`${response.status}: ${JSON.stringify(error)}`);
  return data as T;
}

/** The problem that an operation answered with. */
async function problem(
  call: Promise<{ error?: unknown; response: Response }>,
): Promise<Problem & { code: string }> {
  const { error, response } = await call;
  expect(response.headers.get('content-type')).toContain('application/problem+json');
  const body = error as Problem;
  expect(body.status).toBe(response.status);
  return { ...body, code: body.type.replace('urn:varve:problem:', '') };
}

let made = 0;
const freshName = (): string => `dataset ${(made += 1)}`;

const create = (user: TestUser, body: Partial<components['schemas']['CreateDatasetDto']> = {}) =>
  ok(user.api.POST('/api/v1/datasets', { body: { name: freshName(), ...body } }));

/** Sends a form; `files` are contents under their paths. */
const createByForm = (
  user: TestUser,
  fields: Record<string, string>,
  files: Record<string, string> = {},
) => {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.set(name, value);
  for (const [path, content] of Object.entries(files)) {
    form.append('file', new Blob([content]), path);
  }
  return user.api.POST('/api/v1/datasets', {
    body: { name: 'in the form' },
    bodySerializer: () => form,
  });
};

const at = (datasetId: number) => ({ params: { path: { datasetId } } });

const commit = (
  user: TestUser,
  datasetId: number,
  message: string,
  operations: components['schemas']['CommitDto']['operations'],
) =>
  ok(
    user.api.POST('/api/v1/datasets/{datasetId}/versions', {
      ...at(datasetId),
      body: { message, operations },
    }),
  );

const contentOf = (user: TestUser, datasetId: number, ref: string, path: string) =>
  ok(
    user.api.GET('/api/v1/datasets/{datasetId}/refs/{ref}/content', {
      params: { path: { datasetId, ref }, query: { path } },
      parseAs: 'text',
    }),
  );

const upload = (user: TestUser, content: string): Promise<Response> =>
  fetch(`${server.url}/api/v1/files`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${user.token}`, 'Content-Type': 'text/plain' },
    body: content,
  });

const exportOf = async (user: TestUser, datasetId: number, versions: boolean): Promise<string> => {
  const response = await fetch(
    `${server.url}/api/v1/datasets/${datasetId}/export?versions=${versions}`,
    { headers: { Authorization: `Bearer ${user.token}` } },
  );
  expect(response.status).toBe(200);
  return response.text();
};

const importDocument = (
  user: TestUser,
  body: string,
  { name, headers = {} }: { name?: string; headers?: Record<string, string> } = {},
): Promise<Response> =>
  fetch(`${server.url}/api/v1/datasets/import${name ? `?name=${encodeURIComponent(name)}` : ''}`, {
    method: 'POST',
    headers: {
      Authorization: `Bearer ${user.token}`,
      'Content-Type': 'application/json',
      ...headers,
    },
    body,
  });

const eventsOf = async (datasetId: number): Promise<[type: string, data: unknown][]> => {
  const { rows } = await database.query<{ type: string; data: unknown }>(
    'SELECT type, data FROM events WHERE subject = $1 ORDER BY position',
    [`dataset/${datasetId}`],
  );
  return rows.map(({ type, data }) => [type, data]);
};

const countOf = async (table: 'datasets' | 'dataset_versions'): Promise<number> => {
  const { rows } = await database.query<{ count: string }>(`SELECT count(*) FROM ${table}`);
  return Number(rows[0]?.count);
};

describe('creating a dataset', () => {
  it('answers with it, where it is, and its ETag', async () => {
    const { data, response } = await ada.api.POST('/api/v1/datasets', {
      body: {
        name: 'Meereis 🧊',
        description: 'daily',
        metadata: { ['constructor']: 1, deep: { a: [null, 'ü'], prototype: {} } } as never,
        tags: ['b', 'a'],
      },
    });
    expect(response.status).toBe(201);
    expect(response.headers.get('location')).toBe(`/api/v1/datasets/${data?.id}`);
    expect(response.headers.get('etag')).toMatch(/^"\d+"$/);
    expect(data).toMatchObject({
      name: 'Meereis 🧊',
      metadata: { ['constructor']: 1, deep: { a: [null, 'ü'], prototype: {} } },
      tags: ['a', 'b'],
      owner: { id: ada.id, name: 'ada' },
      defaultBranch: 'main',
      latestVersion: null,
      deletedAt: null,
    });
    const got = await ada.api.GET('/api/v1/datasets/{datasetId}', at(data?.id ?? 0));
    expect(got.data).toEqual(data);
    const etag = response.headers.get('etag') ?? '';
    expect(got.response.headers.get('etag')).toBe(etag);
    const again = await ada.api.GET('/api/v1/datasets/{datasetId}', {
      params: { path: { datasetId: data?.id ?? 0 }, header: { 'If-None-Match': etag } },
      parseAs: 'text',
    });
    expect(again.response.status).toBe(304);
    expect(again.response.headers.get('etag')).toBe(etag);
  });

  it('takes files along as version 1, in the same transaction', async () => {
    const name = freshName();
    const dataset = await ok(
      createByForm(
        ada,
        { name, tags: 'x,y', metadata: '{"a":1}', message: 'From a form' },
        { 'a.csv': 'a,b\n1,2\n', 'däta/ü.txt': 'text' },
      ),
    );
    expect(dataset).toMatchObject({ name, tags: ['x', 'y'], metadata: { a: 1 }, latestVersion: 1 });
    expect(await contentOf(ada, dataset.id, '1', 'däta/ü.txt')).toBe('text');
    const log = await ok(ada.api.GET('/api/v1/datasets/{datasetId}/versions', at(dataset.id)));
    expect(log.items).toMatchObject([{ versionNumber: 1, message: 'From a form', fileCount: 2 }]);
    expect((await eventsOf(dataset.id)).map(([type]) => type)).toEqual([
      'dataset.created',
      'dataset.version.created',
    ]);
  });

  it('takes a form without files', async () => {
    expect(await ok(createByForm(ada, { name: freshName() }))).toMatchObject({
      latestVersion: null,
    });
  });

  it('creates nothing when anything about it is refused', async () => {
    const before = [await countOf('datasets'), await countOf('dataset_versions')];
    const file = { 'a.csv': 'never stored' };
    const taken = await create(ada);
    before[0] = (before[0] ?? 0) + 1;
    const refused = [
      await problem(createByForm(ada, { name: taken.name }, file)),
      await problem(createByForm(ada, { name: freshName() }, { '../a': 'x' })),
      await problem(createByForm(ada, { name: freshName(), colour: 'red' }, file)),
      await problem(createByForm(ada, { name: freshName(), metadata: '[1]' }, file)),
      await problem(createByForm(ada, { name: freshName(), defaultBranch: '1234' }, file)),
      await problem(createByForm(ada, {}, file)),
    ];
    expect(refused.map(({ code }) => code)).toEqual([
      'dataset-name-taken',
      ...Array.from({ length: 5 }, () => 'invalid-input'),
    ]);
    expect([await countOf('datasets'), await countOf('dataset_versions')]).toEqual(before);
    const { rows } = await database.query('SELECT FROM files WHERE content_hash = $1', [
      sha256('never stored'),
    ]);
    expect(rows).toEqual([]);
  });

  it.each([
    [{ name: '' }, 'name'],
    [{ name: ' a' }, 'name'],
    [{ name: 'a', tags: ['b c'] }, 'tags'],
    [{ name: 'a', metadata: [] }, 'metadata'],
    [{ name: 'a', metadata: { a: 'x'.repeat(65_536) } }, 'metadata'],
    [{ name: 'a', description: null }, 'description'],
    [{ name: 'a', colour: 'red' }, 'colour'],
    [{ name: 'a', defaultBranch: 'a..b' }, 'defaultBranch'],
  ])('refuses %j and says where', async (body, place) => {
    const refused = await problem(ada.api.POST('/api/v1/datasets', { body: body as never }));
    expect(refused).toMatchObject({ code: 'invalid-input', errors: [{ at: place }] });
  });

  it('gives the same answer again to the same Idempotency-Key', async () => {
    const send = () =>
      ada.api.POST('/api/v1/datasets', {
        body: { name: 'only once' },
        params: { header: { 'Idempotency-Key': 'once' } },
      });
    const [first, second] = [await send(), await send()];
    expect(second.data).toEqual(first.data);
    expect(second.response.headers.get('etag')).toBe(first.response.headers.get('etag'));
  });
});

describe('a dataset of somebody else', () => {
  it('does not exist, by id, by name or in a list; an administrator sees it', async () => {
    const { id, name } = await create(ada);
    const asked = [
      bob.api.GET('/api/v1/datasets/{datasetId}', at(id)),
      bob.api.PATCH('/api/v1/datasets/{datasetId}', { ...at(id), body: { name: 'mine' } }),
      bob.api.DELETE('/api/v1/datasets/{datasetId}', at(id)),
      bob.api.POST('/api/v1/datasets/{datasetId}/restore', at(id)),
      bob.api.GET('/api/v1/datasets/{datasetId}/export', at(id)),
      bob.api.GET('/api/v1/datasets/{datasetId}/statistics', at(id)),
      bob.api.GET('/api/v1/datasets/by-name', {
        params: { query: { name, owner: 'ada' } },
      }),
      bob.api.PUT('/api/v1/datasets/{datasetId}/tags/{tag}', {
        params: { path: { datasetId: id, tag: 'x' } },
      }),
    ];
    for (const call of asked) expect((await problem(call)).code).toBe('not-found');
    const list = await ok(bob.api.GET('/api/v1/datasets', { params: { query: { name } } }));
    expect(list.items).toEqual([]);
    expect(await ok(server.admin.api.GET('/api/v1/datasets/{datasetId}', at(id)))).toMatchObject({
      id,
    });
  });

  it('may have the same name', async () => {
    const { name } = await create(ada);
    expect(await create(bob, { name })).toMatchObject({ name, owner: { name: 'bob' } });
    const byName = (user: TestUser, owner?: string) =>
      ok(
        user.api.GET('/api/v1/datasets/by-name', {
          params: { query: owner === undefined ? { name } : { name, owner } },
        }),
      );
    expect((await byName(bob)).owner.name).toBe('bob');
    expect((await byName(server.admin, 'ada')).owner.name).toBe('ada');
    expect((await byName(server.admin, String(bob.id))).owner.name).toBe('bob');
  });

  it('is found by a name that a URL has to encode', async () => {
    const name = 'a/b?c#d %2F “ü” 🧊';
    await create(ada, { name });
    const found = await ok(
      ada.api.GET('/api/v1/datasets/by-name', { params: { query: { name } } }),
    );
    expect(found.name).toBe(name);
  });
});

describe('changing a dataset', () => {
  const change = (id: number, body: object, ifMatch?: string) =>
    ada.api.PATCH('/api/v1/datasets/{datasetId}', {
      params: {
        path: { datasetId: id },
        header: ifMatch === undefined ? {} : { 'If-Match': ifMatch },
      },
      body,
    });

  it('changes what is given, leaves the rest, and tells of it', async () => {
    const { id } = await create(ada, { description: 'old', metadata: { a: 1 } });
    const name = freshName();
    expect(await ok(change(id, { name, metadata: {} }))).toMatchObject({
      name,
      description: 'old',
      metadata: {},
    });
    expect((await eventsOf(id)).at(-1)).toEqual([
      'dataset.updated',
      { datasetId: id, changed: ['name', 'metadata'] },
    ]);
  });

  it('refuses a stale If-Match, and changes nothing', async () => {
    const { id } = await create(ada);
    const read = await ada.api.GET('/api/v1/datasets/{datasetId}', at(id));
    const etag = read.response.headers.get('etag') ?? '';
    await ok(change(id, { description: 'first' }, etag));
    const refused = await problem(change(id, { description: 'second' }, etag));
    expect(refused).toMatchObject({ code: 'dataset-changed', status: 412 });
    const deletion = ada.api.DELETE('/api/v1/datasets/{datasetId}', {
      params: { path: { datasetId: id }, header: { 'If-Match': etag } },
    });
    expect((await problem(deletion)).code).toBe('dataset-changed');
    const now = await ada.api.GET('/api/v1/datasets/{datasetId}', at(id));
    expect(now.data?.description).toBe('first');
    expect(refused['etag']).toBe(now.response.headers.get('etag'));
    await ok(change(id, { description: 'third' }, '*'));
    expect((await problem(change(id, {}, 'unquoted'))).code).toBe('invalid-input');
  });

  it('refuses a name that is taken', async () => {
    const [one, other] = [await create(ada), await create(ada)];
    expect(await problem(change(one.id, { name: other.name }))).toMatchObject({
      code: 'dataset-name-taken',
      status: 409,
      name: other.name,
    });
  });

  it('adds and removes tags, as often as asked', async () => {
    const { id } = await create(ada);
    const params = { params: { path: { datasetId: id, tag: 'task:a/b' } } };
    const put = () => ok(ada.api.PUT('/api/v1/datasets/{datasetId}/tags/{tag}', params));
    expect(await put()).toEqual(await put());
    for (let times = 0; times < 2; times += 1) {
      await ok(ada.api.DELETE('/api/v1/datasets/{datasetId}/tags/{tag}', params));
    }
    const refused = ada.api.PUT('/api/v1/datasets/{datasetId}/tags/{tag}', {
      params: { path: { datasetId: id, tag: 'a b' } },
    });
    expect((await problem(refused)).code).toBe('invalid-input');
    const updates = (await eventsOf(id)).filter(([type]) => type === 'dataset.updated');
    expect(updates).toHaveLength(2);
  });
});

describe('deleting and restoring', () => {
  it('hides all of it, and brings all of it back', async () => {
    const dataset = await ok(
      createByForm(ada, { name: freshName(), tags: 'x' }, { 'a.txt': 'kept' }),
    );
    await ok(ada.api.DELETE('/api/v1/datasets/{datasetId}', at(dataset.id)));
    const gone = await problem(ada.api.GET('/api/v1/datasets/{datasetId}', at(dataset.id)));
    expect(gone.code).toBe('not-found');
    const again = await problem(ada.api.DELETE('/api/v1/datasets/{datasetId}', at(dataset.id)));
    expect(again.code).toBe('not-found');

    const deleted = await ok(
      ada.api.GET('/api/v1/datasets', {
        params: { query: { deleted: true, name: dataset.name } },
      }),
    );
    expect(deleted.items).toMatchObject([{ id: dataset.id, deletedAt: expect.any(String) }]);

    const restored = await ok(ada.api.POST('/api/v1/datasets/{datasetId}/restore', at(dataset.id)));
    expect(restored).toMatchObject({ name: dataset.name, tags: ['x'], deletedAt: null });
    expect(await contentOf(ada, dataset.id, '1', 'a.txt')).toBe('kept');
    expect((await eventsOf(dataset.id)).slice(-2)).toEqual([
      ['dataset.deleted', { datasetId: dataset.id, deletedAt: deleted.items[0]?.deletedAt }],
      ['dataset.restored', { datasetId: dataset.id }],
    ]);
  });

  it('refuses to restore when the name has been taken meanwhile', async () => {
    const { id, name } = await create(ada);
    await ok(ada.api.DELETE('/api/v1/datasets/{datasetId}', at(id)));
    await create(ada, { name });
    expect(
      await problem(ada.api.POST('/api/v1/datasets/{datasetId}/restore', at(id))),
    ).toMatchObject({ code: 'dataset-name-taken', status: 409 });
  });
});

describe('the list of datasets', () => {
  it('filters, sorts and pages through what the caller may read', async () => {
    const carla = await server.user('carla');
    const names = ['c', 'a', 'b', 'e', 'd'];
    const all: Dataset[] = [];
    for (const name of names) {
      const tags = name < 'c' ? ['early', 'letter'] : ['letter'];
      all.push(await create(carla, { name, tags, description: `Buchstabe ${name}` }));
    }
    const listed = async (query: object): Promise<string[]> => {
      const seen: string[] = [];
      let cursor: string | null = null;
      do {
        const page: { items: Dataset[]; nextCursor: string | null } = await ok(
          carla.api.GET('/api/v1/datasets', {
            params: { query: { limit: 2, ...query, ...(cursor ? { cursor } : {}) } },
          }),
        );
        expect(page.items.length).toBeLessThanOrEqual(2);
        seen.push(...page.items.map(({ name }) => name));
        cursor = page.nextCursor;
      } while (cursor);
      return seen;
    };
    expect(await listed({})).toEqual(names.toReversed());
    expect(await listed({ sort: 'name' })).toEqual(['a', 'b', 'c', 'd', 'e']);
    expect(await listed({ sort: '-name', tag: ['letter', 'early'] })).toEqual(['b', 'a']);
    expect(await listed({ q: 'BUCHSTABE C' })).toEqual(['c']);
    expect(await listed({ owner: 'carla', name: 'e' })).toEqual(['e']);
    expect(await listed({ owner: 'ada' })).toEqual([]);
    expect(await listed({ createdAfter: all[4]?.createdAt })).toEqual([]);
    expect(await listed({ createdBefore: '2020-01-01' })).toEqual([]);
    await ok(
      carla.api.PATCH('/api/v1/datasets/{datasetId}', {
        ...at(all[1]?.id ?? 0),
        body: { description: 'changed' },
      }),
    );
    expect((await listed({ sort: '-updatedAt' }))[0]).toBe('a');
  });

  it.each([
    { sort: 'size' },
    { limit: 0 },
    { createdAfter: 'yesterday' },
    { createdBefore: '2026-13-01' },
    { deleted: 'maybe' },
    { q: '' },
    { tag: 'a b' },
    { cursor: 'forged' },
    { cursor: Buffer.from('["-createdAt","\\u0000",1]').toString('base64url') },
    { sort: 'name', cursor: Buffer.from('["-createdAt",1,1]').toString('base64url') },
  ])('refuses %j', async (query) => {
    const refused = ada.api.GET('/api/v1/datasets', { params: { query: query as never } });
    expect((await problem(refused)).code).toBe('invalid-input');
  });
});

describe('statistics', () => {
  it('count what the dataset and each version hold', async () => {
    const { id } = await ok(
      createByForm(ada, { name: freshName() }, { 'a.csv': '1', 'b.csv': '1', c: '22' }),
    );
    await commit(ada, id, 'less', [{ op: 'remove', path: 'c' }]);
    const statistics = (ref?: string) =>
      ok(
        ada.api.GET('/api/v1/datasets/{datasetId}/statistics', {
          params: { path: { datasetId: id }, query: ref === undefined ? {} : { ref } },
        }),
      );
    expect(await statistics('1')).toMatchObject({
      totalFiles: 3,
      totalSizeBytes: 4,
      fileTypes: { csv: 2, unknown: 1 },
      uniqueContentHashes: 2,
    });
    expect(await statistics()).toMatchObject({ totalFiles: 2, totalSizeBytes: 2, versionCount: 2 });
    const unknown = ada.api.GET('/api/v1/datasets/{datasetId}/statistics', {
      params: { path: { datasetId: id }, query: { ref: '99' } },
    });
    expect((await problem(unknown)).code).toBe('not-found');
  });
});

describe('export and import', () => {
  const aHistory = async (): Promise<Dataset> => {
    const dataset = await ok(
      createByForm(
        ada,
        { name: freshName(), tags: 'x', metadata: '{"n":1e300}', defaultBranch: 'trunk' },
        { 'a.txt': 'one', 'b “ü”.txt': 'two' },
      ),
    );
    await commit(ada, dataset.id, 'move\nand change', [
      { op: 'move', from: 'a.txt', path: 'c/a.txt' },
      {
        op: 'put',
        path: 'b “ü”.txt',
        sha256: sha256('one'),
        metadata: { ['constructor']: 1 },
      },
    ]);
    await commit(ada, dataset.id, 'remove', [{ op: 'remove', path: 'c/a.txt' }]);
    return dataset;
  };

  it('gives back the dataset, every version and every byte', async () => {
    const original = await aHistory();
    const document = await exportOf(ada, original.id, true);
    expect(document).toContain('"metadata":{"constructor":1}');
    const response = await importDocument(ada, document, { name: freshName() });
    expect(response.status).toBe(201);
    const copy = (await response.json()) as Dataset;
    expect(response.headers.get('location')).toBe(`/api/v1/datasets/${copy.id}`);
    expect(copy).toMatchObject({
      tags: ['x'],
      metadata: { n: 1e300 },
      defaultBranch: 'trunk',
      latestVersion: 3,
    });
    for (const [ref, path, content] of [
      ['1', 'a.txt', 'one'],
      ['1', 'b “ü”.txt', 'two'],
      ['2', 'c/a.txt', 'one'],
      ['2', 'b “ü”.txt', 'one'],
      ['3', 'b “ü”.txt', 'one'],
    ] as const) {
      expect(await contentOf(ada, copy.id, ref, path)).toBe(content);
    }
    // The copy's own export differs in what is its own: name, owner, times and digests.
    const strip = (text: string): unknown =>
      JSON.parse(text, (key, value: unknown) =>
        ['name', 'createdAt', 'updatedAt', 'committedAt', 'digest'].includes(key)
          ? undefined
          : value,
      );
    expect(strip(await exportOf(ada, copy.id, true))).toEqual(strip(document));
    expect((await eventsOf(copy.id)).map(([type]) => type)).toEqual([
      'dataset.created',
      ...Array.from({ length: 3 }, () => 'dataset.version.created'),
    ]);
  });

  it('gives the same bytes for the same state', async () => {
    const { id } = await aHistory();
    expect(await exportOf(ada, id, true)).toBe(await exportOf(ada, id, true));
    expect(JSON.parse(await exportOf(ada, id, false))).not.toHaveProperty('versions');
  });

  it('names the contents that the importer cannot read, and creates nothing', async () => {
    const { id } = await aHistory();
    const document = await exportOf(ada, id, true);
    const before = await countOf('datasets');
    const response = await importDocument(bob, document, { name: freshName() });
    expect(response.status).toBe(422);
    const { missing, missingCount } = (await response.json()) as Record<string, unknown>;
    expect(missing).toEqual([sha256('one'), sha256('two')]);
    expect(missingCount).toBe(2);
    expect(await countOf('datasets')).toBe(before);
    for (const content of ['one', 'two']) expect((await upload(bob, content)).status).toBe(201);
    const imported = await importDocument(bob, document, { name: freshName() });
    expect(imported.status).toBe(201);
    expect((await imported.json()) as Dataset).toMatchObject({ owner: { name: 'bob' } });
  });

  it('creates nothing when a version in the middle cannot be committed', async () => {
    const { id } = await aHistory();
    const document = JSON.parse(await exportOf(ada, id, true)) as {
      versions: { operations: object[] }[];
    };
    document.versions[2]?.operations.push({ path: 'never there', removed: true });
    const before = [await countOf('datasets'), await countOf('dataset_versions')];
    const response = await importDocument(ada, JSON.stringify(document), { name: freshName() });
    expect(response.status).toBe(409);
    expect([await countOf('datasets'), await countOf('dataset_versions')]).toEqual(before);
  });

  it('imports once for one Idempotency-Key', async () => {
    const { id } = await aHistory();
    const document = await exportOf(ada, id, true);
    const name = freshName();
    const send = async (): Promise<Dataset> => {
      const headers = { 'Idempotency-Key': 'import once' };
      return (await (await importDocument(ada, document, { name, headers })).json()) as Dataset;
    };
    expect(await send()).toEqual(await send());
  });

  it('keeps references right: what only the copy needs stays when the original goes', async () => {
    const { id } = await aHistory();
    const document = await exportOf(ada, id, true);
    const response = await importDocument(ada, document, { name: freshName() });
    const copy = (await response.json()) as Dataset;
    const { rows } = await database.query<{ wrong: string }>(
      `SELECT count(*) AS wrong FROM files f WHERE reference_count <>
         (SELECT count(*) FROM dataset_version_files e WHERE e.file_id = f.id)
       + (SELECT count(*) FROM dataset_versions v WHERE v.overlay_file_id = f.id)
       + (SELECT count(*) FROM upload_holds h WHERE h.file_id = f.id)`,
    );
    expect(rows[0]?.wrong).toBe('0');
    expect(await contentOf(ada, copy.id, '1', 'a.txt')).toBe('one');
  });

  it.each([
    ['nothing', ''],
    ['broken JSON', '{"format":'],
    ['another document', '{"openapi":"3.1.0"}'],
    ['a list nested without end', '['.repeat(100_000)],
  ])('refuses %s', async (_, body) => {
    const response = await importDocument(ada, body);
    expect(response.status).toBe(400);
    expect(response.headers.get('content-type')).toContain('application/problem+json');
  });

  it('refuses a form with several documents', async () => {
    const form = new FormData();
    form.append('file', new Blob(['{}']), 'a.json');
    form.append('file', new Blob(['{}']), 'b.json');
    const response = await fetch(`${server.url}/api/v1/datasets/import`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${ada.token}` },
      body: form,
    });
    expect(response.status).toBe(400);
  });
});

describe('limits that an operator sets', () => {
  it('refuses a document that is too large, and lets content go after the retention', async () => {
    const small = await startApp({ IMPORT_LIMIT_BYTES: '1024', DATASET_RETENTION: '1ms' });
    const retained = new Client(small.databaseUrl);
    try {
      await retained.connect();
      const send = (body: string, path: string): Promise<Response> =>
        fetch(`${small.url}/api/v1/datasets${path}`, {
          method: 'POST',
          headers: {
            Authorization: `Bearer ${small.admin.token}`,
            'Content-Type': 'application/json',
          },
          body,
        });
      const large = await send(JSON.stringify({ dataset: { name: 'x'.repeat(2000) } }), '/import');
      expect(large.status).toBe(413);
      expect(await large.text()).toContain('IMPORT_LIMIT_BYTES');

      const { id } = await ok(
        small.admin.api.POST('/api/v1/datasets', { body: { name: 'short-lived' } }),
      );
      await ok(small.admin.api.DELETE('/api/v1/datasets/{datasetId}', at(id)));
      await eventually(async () => {
        const { rows } = await retained.query('SELECT forgotten_at FROM datasets WHERE id = $1', [
          id,
        ]);
        expect(rows).toEqual([{ forgotten_at: expect.any(Date) }]);
      });
      const refused = small.admin.api.POST('/api/v1/datasets/{datasetId}/restore', at(id));
      expect(await problem(refused)).toMatchObject({ code: 'dataset-forgotten', status: 409 });
      const list = small.admin.api.GET('/api/v1/datasets', {
        params: { query: { deleted: true } },
      });
      expect((await ok(list)).items).toEqual([]);
    } finally {
      await retained.end();
      await small.close();
    }
  });
});
