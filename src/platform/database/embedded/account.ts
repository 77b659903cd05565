import { chown, lstat, readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { EmbeddedPostgresUnavailable } from './unavailable.js';

/** A user that programs run as instead of root. */
export interface Account {
  readonly uid: number;
  readonly gid: number;
}

/** Those that exist nearly everywhere; the first that is known here is taken. */
const UNPRIVILEGED = ['postgres', '_postgres', 'nobody'];

/**
 * Whom PostgreSQL runs as. It refuses root, so root drops to the owner of the cluster, or to an
 * unprivileged user where there is no cluster yet.
 * @returns null where this process is not root: PostgreSQL runs as the same user
 * @throws EmbeddedPostgresUnavailable
 */
export async function accountFor(
  clusterDir: string,
  passwdFile = '/etc/passwd',
): Promise<Account | null> {
  if (process.geteuid?.() !== 0) return null;
  const cluster = await stat(clusterDir).catch(() => null);
  if (cluster !== null && cluster.uid !== 0) return { uid: cluster.uid, gid: cluster.gid };

  const users = (await readFile(passwdFile, 'utf8')).split('\n').map((line) => line.split(':'));
  const user = UNPRIVILEGED.map((name) => users.find(([user]) => user === name)).find(Boolean);
  const [uid, gid] = [Number(user?.[2]), Number(user?.[3])];
  if (!Number.isInteger(uid) || !Number.isInteger(gid) || uid === 0) {
    throw new EmbeddedPostgresUnavailable(
      `PostgreSQL does not run as root, and ${passwdFile} has none of the users ` +
        `${UNPRIVILEGED.join(', ')} to run it as. Start Varve as an ordinary user, or set ` +
        'DATABASE_URL to a PostgreSQL server.',
    );
  }
  return { uid, gid };
}

/** Gives a directory and all in it to the account. */
export async function giveTo(account: Account, directory: string): Promise<void> {
  await chown(directory, account.uid, account.gid);
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    const file = path.join(entry.parentPath, entry.name);
    if (!(await lstat(file)).isSymbolicLink()) await chown(file, account.uid, account.gid);
  }
}

/**
 * Whether the account may pass through a directory and every one above it, going by their modes.
 * Whoever runs this process got here, so it may.
 */
export async function canSearch(directory: string, account: Account | null): Promise<boolean> {
  if (account === null) return true;
  for (let at = path.resolve(directory); ; at = path.dirname(at)) {
    const { mode, uid, gid } = await stat(at);
    const bit = uid === account.uid ? 0o100 : gid === account.gid ? 0o010 : 0o001;
    if ((mode & bit) === 0) return false;
    if (at === path.dirname(at)) return true;
  }
}
