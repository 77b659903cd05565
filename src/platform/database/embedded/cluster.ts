import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmod, mkdir, mkdtemp, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { syncDirectory } from './sync.js';
import { type Account, canSearch, giveTo } from './account.js';
import type { Binaries } from './binaries.js';
import { EmbeddedPostgresUnavailable } from './unavailable.js';

/** The role and the database that Varve uses; the superuser is for operators. */
const ROLE = 'varve';
const DATABASE = 'varve';
const SUPERUSER = 'postgres';

const MAJOR_VERSION = '18';

/** Passwords of a cluster's roles. */
export interface Credentials {
  readonly password: string;
  readonly superuserPassword: string;
}

/** A database cluster as it lies on disk. */
export interface Cluster {
  /** PostgreSQL's data directory, real path. */
  readonly dir: string;
  /** What PostgreSQL calls it: the same, or the working directory where the way there is barred. */
  readonly dirArgument: string;
  readonly logFile: string;
  readonly credentials: Credentials;
}

/** Where a data directory keeps its cluster, the passwords and the server's log. */
export function homeOf(dataDir: string): string {
  return path.join(dataDir, 'postgres');
}

/** PostgreSQL's own data directory. */
export function clusterDirOf(home: string): string {
  return path.join(home, 'cluster');
}

/**
 * Opens the cluster under `home`, making it first where there is none.
 * @throws EmbeddedPostgresUnavailable
 */
export async function openCluster(
  home: string,
  binaries: Binaries,
  account: Account | null,
  options: { fsync: boolean },
): Promise<Cluster> {
  await dropUnfinished(home);
  const made = await stat(home).catch(() => null);
  if (made === null) await createCluster(home, binaries, account, options);

  const dir = clusterDirOf(home);
  await requireVersion(dir);
  // Restored from a backup, say.
  if (account !== null && (await stat(dir)).uid !== account.uid) await giveTo(account, dir);
  return {
    dir,
    dirArgument: await dirArgumentOf(dir, account),
    logFile: path.join(home, 'server.log'),
    credentials: await readCredentials(home),
  };
}

/** The passwords of the cluster under `home`. */
export async function readCredentials(home: string): Promise<Credentials> {
  return JSON.parse(await readFile(path.join(home, 'credentials.json'), 'utf8')) as Credentials;
}

/** How to connect to a cluster's server: as the owner of Varve's database, and as superuser. */
export function urlsOf(port: number, credentials: Credentials): { url: string; adminUrl: string } {
  const urlOf = (role: string, password: string, database: string) =>
    `postgres://${role}:${password}@127.0.0.1:${port}/${database}`;
  return {
    url: urlOf(ROLE, credentials.password, DATABASE),
    adminUrl: urlOf(SUPERUSER, credentials.superuserPassword, SUPERUSER),
  };
}

/** The environment of PostgreSQL's programs: ours may hold PGDATA, PGOPTIONS, secrets. */
export const PROGRAM_ENVIRONMENT = { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' };

/** Made under another name and renamed when whole, so that a cluster is there or it is not. */
async function createCluster(
  home: string,
  binaries: Binaries,
  account: Account | null,
  { fsync }: { fsync: boolean },
): Promise<void> {
  await mkdir(path.dirname(home), { recursive: true });
  const unfinished = await mkdtemp(`${home}.unfinished-`);
  // The account passes through; the files inside say for themselves who may read them.
  await chmod(unfinished, 0o711);
  const dir = clusterDirOf(unfinished);
  await mkdir(dir, { mode: 0o700 });
  if (account !== null) await giveTo(account, dir);
  const dirArgument = await dirArgumentOf(dir, account);
  const as = { cwd: dir, env: PROGRAM_ENVIRONMENT, uid: account?.uid, gid: account?.gid };

  await run(binaries.initdb, as, [
    `--pgdata=${dirArgument}`,
    `--username=${SUPERUSER}`,
    // No method lets anybody in before pg_hba.conf is written.
    '--auth=reject',
    '--encoding=UTF8',
    '--locale=C',
    '--locale-provider=builtin',
    '--builtin-locale=C.UTF-8',
    ...(fsync ? [] : ['--no-sync']),
  ]);
  await writeDurably(path.join(dir, 'pg_hba.conf'), PG_HBA);

  const secret = () => randomBytes(32).toString('hex');
  const credentials: Credentials = { password: secret(), superuserPassword: secret() };
  await run(
    binaries.postgres,
    as,
    ['--single', '-D', dirArgument, '-c', 'exit_on_error=on', '-c', 'log_checkpoints=off'].concat(
      fsync ? [] : ['-F'],
      'postgres',
    ),
    `ALTER ROLE ${SUPERUSER} PASSWORD '${credentials.superuserPassword}'\n` +
      `CREATE ROLE ${ROLE} LOGIN CREATEDB PASSWORD '${credentials.password}'\n` +
      `CREATE DATABASE ${DATABASE} OWNER ${ROLE}\n`,
  );
  await writeDurably(
    path.join(unfinished, 'credentials.json'),
    `${JSON.stringify(credentials, null, 2)}\n`,
    0o600,
  );
  await syncDirectory(unfinished);
  await rename(unfinished, home);
  await syncDirectory(path.dirname(home));
}

const PG_HBA = `# Written by Varve. Only this machine, only with a password.
host all all 127.0.0.1/32 scram-sha-256
`;

/** What a start that was killed while making its cluster left behind; initdb may still be at it. */
async function dropUnfinished(home: string): Promise<void> {
  const parent = path.dirname(home);
  const prefix = `${path.basename(home)}.unfinished-`;
  for (const name of await readdir(parent).catch(() => [])) {
    if (!name.startsWith(prefix)) continue;
    await rm(path.join(parent, name), { recursive: true, maxRetries: 50 });
  }
}

async function requireVersion(dir: string): Promise<void> {
  const version = (await readFile(path.join(dir, 'PG_VERSION'), 'utf8')).trim();
  if (version !== MAJOR_VERSION) {
    throw new EmbeddedPostgresUnavailable(
      `${dir} was made by PostgreSQL ${version}; this release runs PostgreSQL ${MAJOR_VERSION}.`,
    );
  }
}

/**
 * How a program that does not run as root names a directory that it was put into. Below a closed
 * directory such as /root its real path cannot be walked, but its working directory can be named:
 * a process is put there while it still is root.
 * @throws EmbeddedPostgresUnavailable where the platform has no such name
 */
async function dirArgumentOf(dir: string, account: Account | null): Promise<string> {
  if (await canSearch(dir, account)) return dir;
  if (process.platform === 'linux') return '/proc/self/cwd';
  throw new EmbeddedPostgresUnavailable(
    `PostgreSQL does not run as root, and the user ${account?.uid} cannot reach ${dir}: a ` +
      'directory above it is closed. Start Varve as an ordinary user, choose a DATA_DIR that ' +
      'others may search, or set DATABASE_URL to a PostgreSQL server.',
  );
}

interface RunAs {
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  readonly uid: number | undefined;
  readonly gid: number | undefined;
}

async function run(program: string, as: RunAs, args: string[], input = ''): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const child = execFile(program, args, as, (error, stdout, stderr) => {
      if (error === null) return resolve();
      const said = `${stdout}\n${stderr}`.trim().split('\n').slice(-10).join('\n');
      reject(
        new EmbeddedPostgresUnavailable(
          `${path.basename(program)} failed (${error.code ?? error.signal}): ${said}`,
          { cause: error },
        ),
      );
    });
    // It may have died before it read anything; its exit code tells.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(input);
  });
}

async function writeDurably(file: string, text: string, mode?: number): Promise<void> {
  const handle = await open(file, 'w', mode);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
}
