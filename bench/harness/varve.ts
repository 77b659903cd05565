import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, stat, unlink } from 'node:fs/promises';
import path from 'node:path';
import { Client } from 'pg';
import {
  clusterDirOf,
  homeOf,
  readCredentials,
  urlsOf,
} from '../../src/platform/database/embedded/cluster.js';
import type { Sha256 } from '../../src/core/ids.js';
import type { RequestHead } from './client.js';
import { ChildProcess } from './processes.js';
import { projectRoot } from './project-root.js';

/** Below this an artifact costs the disk nothing worth freeing between rounds. */
const WORTH_FREEING_BYTES = 1024 * 1024;

/** What an upload answers, as far as the benchmark needs it. */
interface UploadedFile {
  readonly id: number;
  readonly sha256: Sha256;
  readonly sizeBytes: number;
}

/** The real server: `dist/src/main.js` as `npm start` runs it, embedded database and all. */
export class Varve {
  private constructor(
    private readonly server: ChildProcess,
    readonly dataDir: string,
    private readonly adminToken: string,
  ) {}

  get port(): number {
    return this.server.port;
  }

  get pid(): number {
    return this.server.pid;
  }

  static async start(
    folder: string,
    settings: Readonly<Record<string, string>> = {},
  ): Promise<Varve> {
    const dataDir = path.join(folder, 'data');
    await mkdir(dataDir, { recursive: true });
    const adminToken = randomBytes(24).toString('hex');
    const main = path.join(projectRoot, 'dist/src/main.js');
    const server = await ChildProcess.start(process.execPath, [main], {
      cwd: folder,
      env: {
        PORT: '0',
        DATA_DIR: dataDir,
        ADMIN_TOKEN: adminToken,
        LOG_LEVEL: 'warn',
        ...settings,
      },
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

  /** Uploads a small file outside the measured part. @throws Error unless the answer is 2xx */
  async upload(name: string, bytes: Uint8Array<ArrayBuffer>): Promise<UploadedFile> {
    const answer = await fetch(`http://127.0.0.1:${this.port}/api/v1/files?name=${name}`, {
      method: 'POST',
      headers: {
        Authorization: `Bearer ${this.adminToken}`,
        'Content-Type': 'application/octet-stream',
      },
      body: bytes,
    });
    if (!answer.ok) throw new Error(`upload: ${answer.status} ${await answer.text()}`);
    return (await answer.json()) as UploadedFile;
  }

  /** Connects to its database, past the server: as its owner, or as superuser. */
  async connectToDatabase({ asSuperuser = false } = {}): Promise<Client> {
    const home = homeOf(this.dataDir);
    const [, , , port] = (
      await readFile(path.join(clusterDirOf(home), 'postmaster.pid'), 'utf8')
    ).split('\n');
    const { url, adminUrl } = urlsOf(Number(port), await readCredentials(home));
    const { pathname } = new URL(url);
    const connectionString = asSuperuser
      ? Object.assign(new URL(adminUrl), { pathname }).href
      : url;
    const client = new Client({ connectionString });
    await client.connect();
    return client;
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
