import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { pino, type Logger } from 'pino';
import { AdminBootstrap } from './access/admin-bootstrap.js';
import { CannotStart } from './core/cannot-start.js';
import { readConfig, type Config } from './platform/config/config.js';
import { lockDataDir } from './platform/database/data-dir-lock.js';
import { openDatabase } from './platform/database/open-database.js';
import { drain, type AppOptions, type HttpApplication } from './http-application.js';

/** What one of the processes is. */
export interface ServedProcess {
  /** What it is called where it greets, such as `Varve`. */
  readonly name: string;
  readonly createApp: (options: AppOptions) => Promise<HttpApplication>;
  /** What it does besides once it serves; must not throw. */
  readonly whenServing?: (app: HttpApplication, log: Logger) => void;
}

/** Reads the settings, serves until told to stop, and ends the process. */
export async function runProcess(
  served: ServedProcess,
  environment: NodeJS.ProcessEnv,
): Promise<never> {
  try {
    await serve(served, readConfig(environment), stopSignal());
    process.exit(0);
  } catch (error) {
    const text = error instanceof CannotStart ? error.message : (error as Error).stack;
    process.stderr.write(`${served.name} cannot go on: ${text}\n`);
    process.exit(1);
  }
}

/**
 * Starts everything in the order in which each part needs the others, serves until told to stop,
 * and stops it in reverse.
 */
async function serve(served: ServedProcess, config: Config, stop: AbortSignal): Promise<void> {
  const log = pino({ level: config.LOG_LEVEL });
  const closers: (() => Promise<void>)[] = [];
  try {
    if (!config.DATABASE_URL) {
      const lock = await lockDataDir(config.DATA_DIR);
      closers.push(() => lock.release());
    }
    const database = await openDatabase(config, log);
    closers.push(() => database.close());
    if (stop.aborted) return;
    const app = await served.createApp({ config, databaseUrl: database.url });
    closers.push(() => drain(app, config.SHUTDOWN_GRACE));
    const address = await listen(app, config);
    // Only now: a key that was made before the port turned out to be taken would never be seen.
    const adminKey = await app.get(AdminBootstrap, { strict: false }).ensureAdministrator();
    welcome(served.name, address, adminKey);
    served.whenServing?.(app, log);
    if (!stop.aborted) await once(stop, 'abort');
  } finally {
    for (const close of closers.toReversed()) await close();
  }
}

/** @throws CannotStart when the address cannot be had */
async function listen(app: HttpApplication, { HOST, PORT }: Config): Promise<string> {
  try {
    await app.listen(PORT, HOST);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new CannotStart(
      `Port ${PORT} of ${HOST} cannot be listened on (${code}). Choose others with PORT and HOST.`,
      { cause },
    );
  }
  const { port } = app.getHttpServer().address() as AddressInfo;
  return `http://${HOST.includes(':') ? `[${HOST}]` : HOST}:${port}`;
}

function welcome(name: string, address: string, adminKey: string | null): void {
  const lines = [
    '',
    `  ${name} serves on ${address}`,
    `  API docs       ${address}/api/docs`,
    `  OpenAPI        ${address}/api/openapi.json`,
    '',
  ];
  if (adminKey) {
    lines.push("  Administrator's API key, shown only this once:", '', `    ${adminKey}`, '');
  }
  process.stdout.write(`${lines.join('\n')}\n`);
}

/** Aborts at the first signal to stop; a second one ends the process at once. */
function stopSignal(): AbortSignal {
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (stop.signal.aborted) process.exit(1);
      stop.abort();
    });
  }
  return stop.signal;
}
