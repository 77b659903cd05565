import { randomBytes } from 'node:crypto';
import { mkdir, readdir, stat, unlink } from 'node:fs/promises';
import path from 'node:path';
import type { RequestHead } from './client.js';
import { ChildProcess } from './processes.js';
import { projectRoot } from './project-root.js';

/** Below this an artifact costs the disk nothing worth freeing between rounds. */
const WORTH_FREEING_BYTES = 1024 * 1024;

/** The real server: `dist/src/main.js` as `npm start` runs it, embedded database and all. */
export class Varve {
  private constructor(
    private readonly server: ChildProcess,
    private readonly dataDir: string,
    private readonly adminToken: string,
  ) {}

  get port(): number {
    return this.server.port;
  }

  get pid(): number {
    return this.server.pid;
  }

  static async start(folder: string): Promise<Varve> {
    const dataDir = path.join(folder, 'data');
    await mkdir(dataDir, { recursive: true });
    const adminToken = randomBytes(24).toString('hex');
    const main = path.join(projectRoot, 'dist/src/main.js');
    const server = await ChildProcess.start(process.execPath, [main], {
      cwd: folder,
      env: { PORT: '0', DATA_DIR: dataDir, ADMIN_TOKEN: adminToken, LOG_LEVEL: 'warn' },
      logFile: path.join(folder, 'log'),
      ready: /serves on http:\/\/127\.0\.0\.1:(\d+)/,
    });
    return new Varve(server, dataDir, adminToken);
  }

  /** A request's head with the administrator's key. `target` starts after `/api/v1`. */
  head(method: string, target: string, headers: Record<string, string> = {}): RequestHead {
    return {
      method,
      target: `/api/v1${target}`,
      headers: { Authorization: `Bearer ${this.adminToken}`, ...headers },
    };
  }

  /** A JSON request outside the measured part. @throws Error unless the answer is 2xx */
  async call<T>(method: string, target: string, body?: unknown): Promise<T> {
    const answer = await fetch(`http://127.0.0.1:${this.port}/api/v1${target}`, {
      method,
      headers: {
        Authorization: `Bearer ${this.adminToken}`,
        ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
      },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${target}: ${answer.status} ${text.slice(0, 300)}`);
    return JSON.parse(text) as T;
  }

  /**
   * Frees the disk of what the last round uploaded, behind the server's back: nothing reads it
   * again, and taking it away properly would wait for the collector. Never throws.
   */
  async dropArtifacts(keep: ReadonlySet<string> = new Set()): Promise<void> {
    const names = await readdir(this.dataDir, { recursive: true }).catch(() => []);
    for (const name of names) {
      const sha256 = path.basename(name);
      if (!/^[0-9a-f]{64}$/.test(sha256) || keep.has(sha256)) continue;
      const file = path.join(this.dataDir, name);
      const about = await stat(file).catch(() => null);
      if (about?.isFile() && about.size >= WORTH_FREEING_BYTES) await unlink(file).catch(() => {});
    }
  }

  stop(): Promise<void> {
    return this.server.stop();
  }
}
