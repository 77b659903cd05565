import { Agent, request } from 'node:http';
import type { RequestHead } from '../harness/client.js';
import type { Varve } from '../harness/varve.js';

/** What one request came to. */
export interface Timed<T> {
  readonly seconds: number;
  readonly body: T;
}

/** Sends small JSON requests over one connection that stays open; times each to its last byte. */
export class TimedRequests {
  private readonly agent = new Agent({ keepAlive: true, maxSockets: 1 });

  constructor(private readonly varve: Pick<Varve, 'port' | 'head'>) {}

  async get<T>(target: string): Promise<Timed<T>> {
    return this.send<T>(this.varve.head('GET', target), null);
  }

  async post<T>(target: string, body: unknown): Promise<Timed<T>> {
    const headers = { 'Content-Type': 'application/json' };
    return this.send<T>(this.varve.head('POST', target, headers), JSON.stringify(body));
  }

  close(): void {
    this.agent.destroy();
  }

  /** @throws Error unless the answer is 2xx */
  private async send<T>(head: RequestHead, body: string | null): Promise<Timed<T>> {
    const started = performance.now();
    const { status, isJson, text } = await this.exchange(head, body);
    const seconds = (performance.now() - started) / 1000;
    if (status < 200 || status > 299) {
      throw new Error(`${head.method} ${head.target}: ${status} ${text.slice(0, 300)}`);
    }
    return { seconds, body: (isJson ? JSON.parse(text) : text) as T };
  }

  private exchange(
    { method, target, headers = {} }: RequestHead,
    body: string | null,
  ): Promise<{ status: number; isJson: boolean; text: string }> {
    return new Promise((resolve, reject) => {
      const length = body === null ? {} : { 'Content-Length': Buffer.byteLength(body) };
      const options = {
        agent: this.agent,
        port: this.varve.port,
        method,
        path: target,
        headers: { ...headers, ...length },
      };
      const sent = request(options, (answer) => {
        let text = '';
        const status = answer.statusCode ?? 0;
        const isJson = answer.headers['content-type']?.includes('json') ?? false;
        answer.setEncoding('utf8').on('data', (piece: string) => (text += piece));
        answer.once('end', () => resolve({ status, isJson, text }));
        answer.once('error', reject);
      });
      sent.once('error', reject);
      sent.end(body);
    });
  }
}
