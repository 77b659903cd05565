import { randomUUID } from 'node:crypto';
import { rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { LeftOut } from './left-out.js';
import { findProgram, run } from './processes.js';
import { projectRoot } from './project-root.js';

/** A request without its body; the client adds Content-Length where it makes the body. */
export interface RequestHead {
  readonly method: string;
  readonly target: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** What one run of the load generator found. */
export interface Load {
  readonly seconds: number;
  readonly bytesReceived: number;
  /** The bodies of the answers, where the run keeps them. */
  readonly answers: readonly string[];
}

/** The load generator, `bench/upload/client.c`: one process per run, over in a moment. */
export class Client {
  private constructor(private readonly program: string) {}

  static async build(folder: string): Promise<Client> {
    return new Client(await compile('client', folder));
  }

  /** Sends one request whose body is generated; `framing` goes around the body (multipart). */
  async send(
    port: number,
    head: RequestHead,
    bytes: number,
    stamp: bigint,
    options: { framing?: Framing; onMark?: () => void } = {},
  ): Promise<Load> {
    const { before, after } = options.framing ?? { before: '', after: '' };
    const length = before.length + bytes + after.length;
    const text = `${headText(head)}Content-Length: ${length}\r\n`;
    const args = [`${port}`, text, before, after, `${bytes}`, `${stamp}`];
    return this.load(['send', ...args], options.onMark);
  }

  /** Sends one request whose body is a file. */
  async sendFile(port: number, head: RequestHead, file: string, bytes: number): Promise<Load> {
    return this.load(['file', `${port}`, `${headText(head)}Content-Length: ${bytes}\r\n`, file]);
  }

  /** Sends one request and drops the answer's body. */
  async fetch(port: number, head: RequestHead, onMark?: () => void): Promise<Load> {
    return this.load(['fetch', `${port}`, headText(head)], onMark);
  }

  /** Reads random ranges of one resource over connections that stay open. */
  async ranges(
    port: number,
    head: RequestHead,
    plan: { connections: number; requests: number; of: number; length: number; seed: bigint },
  ): Promise<Load> {
    const numbers = [plan.connections, plan.requests, plan.of, plan.length, plan.seed].map(String);
    return this.load(['ranges', `${port}`, headText(head), ...numbers]);
  }

  /** Sends many small generated bodies, a request each, over connections that stay open. */
  async many(
    port: number,
    head: RequestHead,
    plan: { connections: number; requests: number; bytes: number; stamp: bigint },
  ): Promise<Load> {
    const numbers = [plan.connections, plan.requests, plan.bytes, plan.stamp].map(String);
    return this.load(['many', `${port}`, headText(head), ...numbers]);
  }

  /** Sends the files that `writeFiles` made, a request each, and keeps the answers in their order. */
  async sendEach(
    port: number,
    head: RequestHead,
    plan: { connections: number; requests: number; folder: string },
  ): Promise<Load> {
    const numbers = [plan.connections, plan.requests].map(String);
    return this.load(['each', `${port}`, headText(head), ...numbers, plan.folder]);
  }

  /** Sends a request again and again until something is over. @returns what 99 of 100 stay below */
  async p99(port: number, head: RequestHead, until: Promise<unknown>): Promise<number> {
    const over = `${this.program}-${randomUUID()}.over`;
    const ended = until.finally(() => writeFile(over, ''));
    try {
      const [{ seconds }] = await Promise.all([
        this.load(['repeat', `${port}`, headText(head), over]),
        ended,
      ]);
      return seconds;
    } finally {
      await rm(over, { force: true });
    }
  }

  /** Fills a file with bytes that do not compress. */
  async fill(file: string, bytes: number, seed: bigint): Promise<void> {
    await run(this.program, ['fill', file, `${bytes}`, `${seed}`]);
  }

  /** Makes `count` files named 00000, 00001 and so on. */
  async writeFiles(folder: string, count: number, bytes: number, seed: bigint): Promise<void> {
    await run(this.program, ['files', folder, `${count}`, `${bytes}`, `${seed}`]);
  }

  private async load(args: readonly string[], onMark?: () => void): Promise<Load> {
    const onLine = (line: string) => {
      if (line.startsWith('mark ')) onMark?.();
    };
    const lines = (await run(this.program, args, { onLine })).trimEnd().split('\n');
    const done = /^done (\S+) (\d+) \d+$/.exec(lines.at(-1) ?? '');
    if (!done) throw new Error(`client: no result but ${lines.at(-1)}`);
    const answers = lines.filter((line) => line.startsWith('answer '));
    return {
      seconds: Number(done[1]),
      bytesReceived: Number(done[2]),
      answers: answers.map((line) => line.replace(/^answer \d+ /, '')),
    };
  }
}

/** What stands before and after the content in a body; ASCII. */
export interface Framing {
  readonly before: string;
  readonly after: string;
}

/** Compiles `bench/upload/<name>.c` into a folder. @throws LeftOut where there is no compiler */
export async function compile(name: string, folder: string): Promise<string> {
  const compiler = await findProgram('cc', 'gcc').catch(() => {
    throw new LeftOut('no C compiler is installed (Debian package gcc)');
  });
  const source = path.join(projectRoot, 'bench/upload', `${name}.c`);
  const program = path.join(folder, name);
  await run(compiler, ['-O2', '-pthread', '-o', `${program}.new`, source]);
  await rename(`${program}.new`, program);
  return program;
}

/** A request's first lines, without the empty one that ends them. */
export function headText(head: RequestHead): string {
  const headers = { Host: '127.0.0.1', ...head.headers };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${head.method} ${head.target} HTTP/1.1\r\n${lines.join('')}`;
}
