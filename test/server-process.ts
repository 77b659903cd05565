import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { promisify } from 'node:util';

const DIST = path.resolve('dist');

export const PROCESS_TOKEN = 'process-administrator-token';

/** The built server in a process of its own, to be killed. */
export interface ServerProcess {
  readonly url: string;
  readonly pid: number;
  /** Sends a signal and waits for the end; `SIGKILL` unless told. */
  end(signal?: NodeJS.Signals): Promise<number | null>;
  /** Settles with the exit code, or null after a signal. */
  readonly exited: Promise<number | null>;
  /** What it has written so far. */
  output(): string;
}

/**
 * Starts `dist/src/main.js` on any free port. `environment` must say where its data lies.
 * @param preload a module that is imported before the server's own, to break things
 * @param program what is started, under `dist/src`
 */
export async function startServerProcess(
  environment: Record<string, string>,
  preload?: string,
  program = 'main.js',
): Promise<ServerProcess> {
  const child = spawn(
    process.execPath,
    [...(preload ? ['--import', path.resolve(preload)] : []), path.join(DIST, 'src', program)],
    {
      env: {
        PATH: process.env['PATH'],
        PORT: '0',
        LOG_LEVEL: 'error',
        ADMIN_TOKEN: PROCESS_TOKEN,
        ...environment,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  let output = '';
  const collect = (chunk: Buffer) => {
    output += chunk.toString();
  };
  child.stdout.on('data', collect);
  child.stderr.on('data', collect);
  const exited = once(child, 'exit').then(([code]) => code as number | null);
  const url = await new Promise<string>((resolve, reject) => {
    child.stdout.on('data', () => {
      const found = /serves on (http:\/\/\S+)/.exec(output)?.[1];
      if (found) resolve(found);
    });
    void exited.then((code) => reject(new Error(`the server ended with ${code}: ${output}`)));
  });
  return {
    url,
    pid: child.pid ?? 0,
    exited,
    output: () => output,
    end(signal = 'SIGKILL') {
      child.kill(signal);
      return exited;
    },
  };
}

/** What the outside check said. */
export interface Verdict {
  readonly code: number;
  readonly output: string;
}

/** Runs `npm run verify`'s script beside, or without, the server. */
export async function verifyOutside(...options: string[]): Promise<Verdict> {
  try {
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [
      path.join(DIST, 'scripts/verify.js'),
      ...options,
    ]);
    return { code: 0, output: stdout + stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { code, output: stdout + stderr };
  }
}
