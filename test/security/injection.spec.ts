import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { DataSource } from 'typeorm';
import { startApp, type TestApp } from '../app.js';
import { fill, operationsOf, send, type Operation } from './operations.js';

/** Whatever of these reached the database as SQL would move the sequence, which no rollback undoes. */
const CALL = `nextval('injected')`;
const ATTEMPTS = [
  CALL,
  `' || ${CALL} || '`,
  `" || ${CALL} || "`,
  `1 OR ${CALL} > 0`,
  `') OR ${CALL} > 0 --`,
  `'; SELECT ${CALL}; --`,
  `\\' || ${CALL} --`,
];

describe('SQL in every parameter', () => {
  let app: TestApp;
  let operations: Operation[];
  let database: DataSource;
  let parameters: Record<string, { query: string[]; members: string[] }>;

  beforeAll(async () => {
    app = await startApp();
    operations = await operationsOf(app);
    database = app.app.get(DataSource);
    await database.query('CREATE SEQUENCE injected');
    const made = await app.admin.api.POST('/api/v1/datasets', { body: { name: 'd' } });
    expect(made.data?.id).toBe(1);
    parameters = await parametersOf(app);
  });
  afterAll(() => app.close());

  const isMoved = async (): Promise<boolean> => {
    const [row] = await database.query<{ moved: boolean }[]>(
      'SELECT is_called AS moved FROM injected',
    );
    return row!.moved;
  };

  it('is never run: in routes, queries, bodies and headers', async () => {
    for (const { id, method, route } of operations) {
      // The answer of one does not end; the other would take what the rest ask for.
      if (id === 'streamEvents' || id === 'deleteDataset') continue;
      const { query, members } = parameters[id]!;
      for (const attempt of ATTEMPTS) {
        const hostile = fill(
          route,
          Object.fromEntries(namesIn(route).map((name) => [name, attempt])),
        );
        const search = new URLSearchParams(query.map((name): [string, string] => [name, attempt]));
        const body = Object.fromEntries(members.map((name) => [name, attempt]));
        const known = fill(route, { datasetId: 1, userId: 1, ref: 'main', branch: 'main' });
        const isRead = method === 'GET' || method === 'HEAD';
        for (const path of [hostile, `${known}?${search.toString()}`]) {
          const { status } = await send(
            app,
            app.admin.token,
            method,
            path,
            isRead || members.length === 0 ? undefined : body,
          );
          expect({ id, attempt, path, fault: status >= 500 }).toEqual({
            id,
            attempt,
            path,
            fault: false,
          });
        }
        // One at a time, lest another one's refusal comes first.
        for (const name of query) {
          const one = new URLSearchParams([[name, attempt]]);
          await send(app, app.admin.token, method, `${known}?${one.toString()}`);
        }
      }
      expect([id, await isMoved()]).toEqual([id, false]);
    }
    for (const attempt of ATTEMPTS) {
      await fetch(`${app.url}/api/v1/datasets`, {
        method: 'POST',
        headers: {
          Authorization: `Bearer ${app.admin.token}`,
          'Content-Type': 'application/json',
          'Idempotency-Key': attempt,
          'X-Request-Id': attempt,
          'User-Agent': attempt,
          'If-Match': attempt,
        },
        body: JSON.stringify({ name: attempt, metadata: { [attempt]: attempt }, tags: ['t'] }),
      });
    }
    expect(await isMoved()).toBe(false);
  });

  it('would be seen if it were', async () => {
    await database.query(`SELECT '' || ${CALL} || ''`);
    expect(await isMoved()).toBe(true);
  });
});

function namesIn(route: string): string[] {
  return [...route.matchAll(/\{(\w+)\}/g)].map(([, name]) => name!);
}

interface ApiDocument {
  paths: Record<
    string,
    Record<
      string,
      {
        operationId: string;
        parameters?: { name: string; in: string }[];
        requestBody?: { content: Record<string, { schema: { $ref?: string } }> };
      }
    >
  >;
  components: { schemas: Record<string, { properties?: Record<string, unknown> }> };
}

/** The names of what each operation takes in its query and, where it is JSON, in its body. */
async function parametersOf(app: TestApp) {
  const document = (await (await fetch(`${app.url}/api/openapi.json`)).json()) as ApiDocument;
  const entries = Object.values(document.paths).flatMap((methods) =>
    Object.values(methods).map((operation) => {
      const reference = operation.requestBody?.content['application/json']?.schema.$ref;
      const schema = document.components.schemas[reference?.split('/').at(-1) ?? ''];
      const query = (operation.parameters ?? []).filter((parameter) => parameter.in === 'query');
      return [
        operation.operationId,
        {
          query: query.map(({ name }) => name),
          members: Object.keys(schema?.properties ?? {}),
        },
      ] as const;
    }),
  );
  return Object.fromEntries(entries);
}
