import { setTimeout as sleep } from 'node:timers/promises';
import { PROCESS_TOKEN, startServerProcess, type ServerProcess } from '../server-process.js';

export interface Answer<T = Record<string, unknown>> {
  readonly status: number;
  readonly headers: Headers;
  readonly body: T;
}

export interface Request {
  readonly json?: unknown;
  readonly body?: FormData | Uint8Array<ArrayBuffer>;
  readonly headers?: Record<string, string>;
}

/** A server that is killed again and again, and started again on the same data. */
export class BurningServer {
  /** What no client deserves: a 5xx, or what is not as it was promised. */
  readonly faults: string[] = [];
  #log = '';
  /** How many requests have been answered 2xx. */
  successes = 0;
  kills = 0;
  #server: ServerProcess | null = null;
  /** Where it listens; while it is dead, where it will. */
  #url = Promise.withResolvers<string>();

  constructor(private readonly environment: Record<string, string>) {}

  async start(): Promise<void> {
    this.#server = await startServerProcess(this.environment);
    this.#url.resolve(this.#server.url);
  }

  async kill(): Promise<void> {
    this.#url = Promise.withResolvers<string>();
    this.kills += 1;
    await this.#server?.end('SIGKILL');
    this.#log += this.#server?.output() ?? '';
  }

  /** The faults, and what the server had logged of them until it was killed or stopped. */
  findings(): readonly string[] {
    if (this.faults.length === 0) return [];
    const wanted = this.faults.flatMap((fault) => /"requestId":"([^"]+)"/.exec(fault)?.[1] ?? []);
    const lines = (this.#log + (this.#server?.output() ?? '')).split('\n');
    return [...this.faults, ...lines.filter((line) => wanted.some((id) => line.includes(id)))];
  }

  async stop(): Promise<void> {
    await this.#server?.end('SIGTERM');
  }

  /** Ends it whatever it does: for a test that failed. */
  async abandon(): Promise<void> {
    await this.#server?.end('SIGKILL');
  }

  /** Waits until so many more requests have succeeded, however long this machine takes. */
  async untilSuccesses(more: number): Promise<void> {
    for (const target = this.successes + more; this.successes < target;) await sleep(20);
  }

  /** Sends a request to the living server; null where nobody knows what became of it. */
  async call<T = Record<string, unknown>>(
    method: string,
    at: string,
    { json, body, headers }: Request = {},
  ): Promise<Answer<T> | null> {
    const url = await this.#url.promise;
    try {
      const response = await fetch(`${url}/api/v1${at}`, {
        method,
        headers: {
          Authorization: `Bearer ${PROCESS_TOKEN}`,
          ...(json !== undefined && { 'Content-Type': 'application/json' }),
          ...headers,
        },
        body: json === undefined ? (body ?? null) : JSON.stringify(json),
      });
      const text = await response.text();
      const isJson = response.headers.get('content-type')?.includes('json') ?? false;
      if (response.status >= 500) this.faults.push(`${method} ${at}: ${response.status} ${text}`);
      if (response.ok) this.successes += 1;
      return {
        status: response.status,
        headers: response.headers,
        body: (isJson ? JSON.parse(text) : text) as T,
      };
    } catch {
      return null;
    }
  }
}
