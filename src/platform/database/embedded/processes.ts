import { execFile } from 'node:child_process';
import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

const runFile = promisify(execFile);

/** What `postmaster.pid` says of the server that wrote it. */
export interface PidFile {
  readonly pid: number;
  readonly port: number;
  /** `ready` once it takes connections. */
  readonly status: string;
}

/** Reads a cluster's `postmaster.pid`; null where there is none or it is not whole yet. */
export async function readPidFile(clusterDir: string): Promise<PidFile | null> {
  const text = await readFile(path.join(clusterDir, 'postmaster.pid'), 'utf8').catch(() => '');
  const lines = text.split('\n').map((line) => line.trim());
  const [pid, port] = [Number(lines[0]), Number(lines[3])];
  if (!Number.isInteger(pid) || pid <= 0 || !Number.isInteger(port)) return null;
  return { pid, port, status: lines[7] ?? '' };
}

/**
 * What a cluster's processes carry in their titles, so that they can be told from any other:
 * the same for as long as the directory is, wherever it is moved, and another for a copy of it.
 */
export async function clusterNameOf(clusterDir: string): Promise<string> {
  const { dev, ino } = await stat(clusterDir, { bigint: true });
  return `varve-${dev.toString(16)}-${ino.toString(16)}`;
}

/** A living PostgreSQL process. */
export interface ServerProcess {
  readonly pid: number;
  /** False for a backend, which may outlive its postmaster for a while. */
  readonly isPostmaster: boolean;
}

/**
 * The living processes that work in a cluster, whatever its pid file says: that pid may have been
 * given to another program since, and a zombie still answers signals. Titles can be read across
 * users and in containers, where working directories can not.
 */
export async function processesOn(
  clusterDir: string,
  platform = process.platform,
): Promise<ServerProcess[]> {
  if (platform === 'win32') return fromTaskList(clusterDir);
  const name = await clusterNameOf(clusterDir);
  const running = platform === 'linux' ? await listProc() : await listPs();
  return running
    .filter(({ program, title }) => {
      const carriesName = title.includes(`=${name} `) || title.startsWith(`postgres: ${name}: `);
      return program === 'postgres' && carriesName;
    })
    .map(({ pid, title }) => ({ pid, isPostmaster: !title.startsWith('postgres: ') }));
}

interface RunningProgram {
  readonly pid: number;
  readonly program: string;
  /** Its arguments, separated and followed by a space; empty for a zombie. */
  readonly title: string;
}

async function listProc(): Promise<RunningProgram[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  return Promise.all(
    pids.map(async (pid) => {
      // Empty for one that has gone meanwhile.
      const read = (file: string) => readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => '');
      const [program, title] = await Promise.all([read('comm'), read('cmdline')]);
      return { pid: Number(pid), program: program.trim(), title: title.replaceAll('\0', ' ') };
    }),
  );
}

async function listPs(): Promise<RunningProgram[]> {
  const { stdout } = await runFile('ps', ['-axww', '-o', 'pid=,ucomm=,args='], {
    maxBuffer: 64 * 1024 * 1024,
  });
  return stdout.split('\n').flatMap((line) => {
    const [, pid, program, title] = /^\s*(\d+)\s+(\S+)\s+(.*)$/.exec(line) ?? [];
    return pid && program && title ? [{ pid: Number(pid), program, title: `${title} ` }] : [];
  });
}

/** Windows shows no titles: the pid file's word is taken where it names a PostgreSQL. */
async function fromTaskList(clusterDir: string): Promise<ServerProcess[]> {
  const pid = (await readPidFile(clusterDir))?.pid;
  if (pid === undefined) return [];
  const { stdout } = await runFile('tasklist', ['/FI', `PID eq ${pid}`, '/FO', 'CSV', '/NH']);
  return stdout.toLowerCase().includes('postgres.exe') ? [{ pid, isPostmaster: true }] : [];
}
