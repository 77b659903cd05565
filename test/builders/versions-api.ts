import type { TestApp, TestUser } from '../app.js';
import type { components } from '../client/schema.js';
import { eventually } from './eventually.js';

export type Version = components['schemas']['VersionView'];
type Job = components['schemas']['JobView'];
export type FileEntry = components['schemas']['FileEntryView'];
export type Page<T> = { items: T[]; nextCursor: string | null };

export interface Answer<T = Record<string, unknown>> {
  readonly status: number;
  readonly headers: Headers;
  readonly body: T;
}

/** The status of a problem and its code, in one word each. */
export const codeOf = (answer: Answer<unknown>): string =>
  `${answer.status} ${String((answer.body as { type?: string }).type).replace('urn:varve:problem:', '')}`;

/** Speaks plain HTTP about versions, where a typed client would hide what is sent. */
export class VersionsApi {
  #made = 0;

  constructor(
    readonly server: TestApp,
    readonly user: TestUser,
  ) {}

  async call<T = Record<string, unknown>>(
    method: string,
    at: string,
    request: {
      json?: unknown;
      body?: string | FormData | ReadableStream | Uint8Array;
      headers?: Record<string, string>;
    } = {},
  ): Promise<Answer<T>> {
    const { json, headers } = request;
    const body = request.body ?? (json === undefined ? null : JSON.stringify(json));
    const response = await fetch(`${this.server.url}/api/v1${at}`, {
      method,
      headers: {
        Authorization: `Bearer ${this.user.token}`,
        ...(json !== undefined && { 'Content-Type': 'application/json' }),
        ...headers,
      },
      ...(body !== null && { body, duplex: 'half' }),
    });
    const text = await response.text();
    const isJson = response.headers.get('content-type')?.includes('json') ?? false;
    return {
      status: response.status,
      headers: response.headers,
      body: (isJson ? JSON.parse(text) : text) as T,
    };
  }

  /** What the job came to that an answer of 202 names. */
  async finishedJob(accepted: Answer<unknown>): Promise<Record<string, unknown>> {
    if (accepted.status !== 202) throw new Error(JSON.stringify(accepted.body));
    const { id } = accepted.body as Job;
    const { state, error, result } = await eventually(async () => {
      const { body } = await this.call<Job>('GET', `/jobs/${id}`);
      return ['completed', 'failed'].includes(body.state) ? body : null;
    });
    if (state === 'failed' || !result) throw new Error(JSON.stringify(error));
    return result;
  }

  async aDataset(): Promise<number> {
    const { body } = await this.call<{ id: number }>('POST', '/datasets', {
      json: { name: `versions ${(this.#made += 1)}` },
    });
    return body.id;
  }

  async upload(content: string | Uint8Array<ArrayBuffer>): Promise<number> {
    const { body } = await this.call<{ id: number }>('POST', '/files?name=a.txt', {
      headers: { 'Content-Type': 'text/plain' },
      body: content,
    });
    return body.id;
  }

  /** Commits files as a form: contents under their paths. */
  commitFiles(
    dataset: number,
    files: Record<string, string>,
    fields: Record<string, string> = {},
  ): Promise<Answer<Version>> {
    const form = new FormData();
    for (const [name, value] of Object.entries({ message: 'files', ...fields })) {
      form.set(name, value);
    }
    for (const [at, content] of Object.entries(files)) form.append('file', new Blob([content]), at);
    return this.call<Version>('POST', `/datasets/${dataset}/versions`, { body: form });
  }

  commit(
    dataset: number,
    operations: unknown,
    more: Record<string, unknown> = {},
    headers: Record<string, string> = {},
  ): Promise<Answer<Version>> {
    return this.call<Version>('POST', `/datasets/${dataset}/versions`, {
      json: { message: 'a commit', operations, ...more },
      headers,
    });
  }

  /** What stands at a path, as text. */
  async text(dataset: number, ref: string, at: string): Promise<string> {
    return (await this.call<string>('GET', contentAt(dataset, ref, at))).body;
  }

  /** Paths and contents of a small version. */
  async tree(dataset: number, ref: string): Promise<Record<string, string>> {
    const at = `/datasets/${dataset}/refs/${encodeURIComponent(ref)}/files?limit=1000`;
    const files = await this.everything<FileEntry>(at);
    const contents = await Promise.all(files.map(({ path }) => this.text(dataset, ref, path)));
    return Object.fromEntries(files.map(({ path }, index) => [path, contents[index] ?? '']));
  }

  /** All items of a list, page by page; `at` has a query already. */
  async everything<T>(at: string): Promise<T[]> {
    const items: T[] = [];
    let cursor: string | null = null;
    do {
      const more: string = cursor === null ? '' : `&cursor=${cursor}`;
      const page: Answer<Page<T>> = await this.call<Page<T>>('GET', `${at}${more}`);
      if (page.status !== 200) throw new Error(JSON.stringify(page.body));
      items.push(...page.body.items);
      cursor = page.body.nextCursor;
    } while (cursor !== null);
    return items;
  }
}

export const contentAt = (dataset: number, ref: string, at: string): string =>
  `/datasets/${dataset}/refs/${encodeURIComponent(ref)}/content?path=${encodeURIComponent(at)}`;
