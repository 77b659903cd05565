import type { TestApp } from '../app.js';

/** What an operation says of its callers, as `x-access` in the OpenAPI document. */
export interface Access {
  readonly kind: 'public' | 'signed-in' | 'admin' | 'dataset' | 'file';
  readonly permission?: 'read' | 'write' | 'admin';
  readonly parameter?: string;
}

export interface Operation {
  readonly id: string;
  readonly method: string;
  /** With `{parameters}`. */
  readonly route: string;
  readonly access: Access | undefined;
}

interface ApiDocument {
  paths: Record<string, Record<string, { operationId: string; 'x-access'?: Access }>>;
}

/** Every operation of the running server, as it describes itself. */
export function operationsOf(app: TestApp): Promise<Operation[]> {
  return operationsAt(app.url);
}

/** Every operation of the server at an address. */
export async function operationsAt(url: string): Promise<Operation[]> {
  const document = (await (await fetch(`${url}/api/openapi.json`)).json()) as ApiDocument;
  return Object.entries(document.paths).flatMap(([route, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      id: operation.operationId,
      method: method.toUpperCase(),
      route,
      access: operation['x-access'],
    })),
  );
}

/** Fills a route's parameters; those that are not given get something that no thing is named by. */
export function fill(route: string, values: Record<string, string | number>): string {
  return route.replace(/\{(\w+)\}/g, (_, name: string) =>
    encodeURIComponent(String(values[name] ?? '2147483647')),
  );
}

export interface Answer {
  readonly status: number;
  /** Without the request's id, which is another each time. */
  readonly body: string;
}

/** Sends a request without a body, or with a JSON one. */
export async function send(
  app: TestApp,
  token: string | null,
  method: string,
  path: string,
  body?: unknown,
): Promise<Answer> {
  const answer = await fetch(`${app.url}${path}`, {
    method,
    headers: {
      ...(token !== null && { Authorization: `Bearer ${token}` }),
      ...(body !== undefined && { 'Content-Type': 'application/json' }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  return { status: answer.status, body: text.replace(/"requestId":"[^"]*"/, '"requestId":"…"') };
}
