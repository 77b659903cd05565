import createClient, { type Client } from 'openapi-fetch';
import type { components, paths } from '../../test/client/schema.js';

export type Dataset = components['schemas']['DatasetView'];
export type Version = components['schemas']['VersionView'];
export type FileEntry = components['schemas']['FileEntryView'];
export type Operation = components['schemas']['CommitDto']['operations'][number];
export type Api = Client<paths>;

/** A client whose types are made from the server's OpenAPI document. */
export function connect(url: string, token: string): Api {
  return createClient<paths>({ baseUrl: url, headers: { Authorization: `Bearer ${token}` } });
}

interface Answer<T> {
  readonly data?: T;
  readonly error?: unknown;
  readonly response: Response;
}

/** What an operation answered. @throws Error with the problem's own words */
export async function expectOk<T>(call: Promise<Answer<T>>): Promise<T> {
  const { data, error, response } = await call;
  if (response.ok) return data as T;
  const { title, detail } = (error ?? {}) as { title?: string; detail?: string };
  throw new Error(`${response.status} ${title ?? response.statusText}: ${detail ?? response.url}`);
}
