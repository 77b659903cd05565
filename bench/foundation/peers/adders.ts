import { access, cp, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Bench } from '../../harness/bench.js';
import { LeftOut } from '../../harness/left-out.js';
import { findProgram, run } from '../../harness/processes.js';
import type { Contestant } from '../../harness/race.js';
import { emptyFolder, removeFolder } from '../../harness/folders.js';
import { startNginx, type Nginx } from './nginx.js';

/** What is added: a folder of `count` files, 00000 and on, of `bytes` each. */
export interface Source {
  readonly folder: string;
  readonly count: number;
  readonly bytes: number;
}

/** Takes away what was made of a source, or the source itself: at once only where that is few files. */
export async function putAside(
  bench: Bench,
  source: Source,
  folder = source.folder,
): Promise<void> {
  if (source.count > 1) return bench.putAway(folder);
  // git-annex takes away the right to write.
  await run('chmod', ['-R', 'u+w', folder]);
  await removeFolder(folder);
}

const SYNC = 'does not sync by itself: `sync -f` follows and counts';

/** Nobody's settings but those given here: HOME is a folder of ours. */
async function environment(bench: Bench): Promise<Record<string, string>> {
  const home = await bench.folder('home');
  const config = ['[user]', '\tname = bench', '\temail = bench@localhost', ''].join('\n');
  await writeFile(path.join(home, '.gitconfig'), config);
  return { HOME: home, XDG_CONFIG_HOME: home, GIT_CONFIG_NOSYSTEM: '1', RESTIC_PASSWORD: 'bench' };
}

async function timed(step: () => Promise<void>): Promise<number> {
  const started = performance.now();
  await step();
  return (performance.now() - started) / 1000;
}

/** A fresh git repository for each round, with the source's files copied in beforehand. */
function inWorkTree(
  bench: Bench,
  source: Source,
  program: { name: string; atMostRounds?: number },
  note: string,
  steps: { init: string[][]; add: string[][] },
): Contestant {
  const { name } = program;
  let folder: string;
  let env: Record<string, string>;
  return {
    ...program,
    note: `${note}; ${SYNC}`,
    async setUp() {
      await findProgram('git');
      await findProgram(name);
      env = await environment(bench);
      folder = path.join(bench.root, `${name}-${source.count}`);
    },
    async run() {
      await mkdir(folder);
      await run('git', ['init', '--quiet', '.'], { cwd: folder, env });
      for (const step of steps.init) await run('git', step, { cwd: folder, env });
      await cp(source.folder, path.join(folder, 'added'), { recursive: true });
      await run('sync', []);
      return timed(async () => {
        for (const step of steps.add) await run('git', step, { cwd: folder, env });
        await run('sync', ['-f', folder]);
      });
    },
    clear: () => putAside(bench, source, folder),
  };
}

/** What a peer is to do besides recording the files. */
interface Extent {
  /** Make a version of them, as a commit to Varve does. */
  readonly commit?: boolean;
}

const COMMIT = ['commit', '--quiet', '--message', 'add'];

export function gitAnnex(
  bench: Bench,
  source: Source,
  { commit = false }: Extent = {},
): Contestant {
  const steps = commit ? '`git annex add` and `git commit`' : '`git annex add`';
  const note = `${steps} in a new repository, default settings (SHA256E)`;
  // Ten thousand files take it a minute.
  const atMostRounds = source.count > 1 ? 1 : undefined;
  return inWorkTree(bench, source, { name: 'git-annex', atMostRounds }, note, {
    init: [['annex', 'init', '--quiet', 'bench']],
    add: [['annex', 'add', '--quiet', 'added'], ...(commit ? [COMMIT] : [])],
  });
}

export function gitLfs(bench: Bench, source: Source, { commit = false }: Extent = {}): Contestant {
  const steps = commit ? '`git add` and `git commit`' : '`git add`';
  const note = `${steps} in a new repository that tracks everything with LFS`;
  const atMostRounds = commit ? 1 : undefined;
  return inWorkTree(bench, source, { name: 'git-lfs', atMostRounds }, note, {
    init: [
      ['lfs', 'install', '--local'],
      ['lfs', 'track', 'added/**'],
    ],
    add: [['add', 'added'], ...(commit ? [COMMIT] : [])],
  });
}

export function restic(bench: Bench, source: Source): Contestant {
  let folder: string;
  let env: Record<string, string>;
  return {
    name: 'restic',
    note: '`restic backup` into a new local repository, default settings (encrypts; syncs its packs itself)',
    async setUp() {
      await findProgram('restic');
      env = await environment(bench);
      folder = path.join(bench.root, `restic-${source.count}`);
    },
    async run() {
      await run('restic', ['--quiet', 'init', '--repo', folder], { env });
      await run('sync', []);
      return timed(async () => {
        await run('restic', ['--quiet', '--repo', folder, 'backup', source.folder], { env });
      });
    },
    clear: () => putAside(bench, source, folder),
  };
}

export function borg(bench: Bench, source: Source): Contestant {
  let folder: string;
  let env: Record<string, string>;
  return {
    name: 'borg',
    note: '`borg create` into a new local repository without encryption (syncs its segments itself)',
    async setUp() {
      await findProgram('borg', 'borgbackup');
      env = { ...(await environment(bench)), BORG_BASE_DIR: await bench.folder('borg-home') };
      folder = path.join(bench.root, `borg-${source.count}`);
    },
    async run() {
      await run('borg', ['init', '--encryption', 'none', folder], { env });
      await run('sync', []);
      return timed(async () => {
        await run('borg', ['create', `${folder}::added`, source.folder], { env });
      });
    },
    clear: () => putAside(bench, source, folder),
  };
}

export function datalad(bench: Bench, source: Source): Contestant {
  let folder: string;
  let env: Record<string, string>;
  return {
    name: 'datalad',
    note: `\`datalad save\` in a new dataset, default settings; ${SYNC}`,
    // Ten thousand files take it most of a minute.
    atMostRounds: 1,
    async setUp() {
      await findProgram('datalad');
      env = await environment(bench);
      folder = path.join(bench.root, `datalad-${source.count}`);
    },
    async run() {
      await run('datalad', ['create', folder], { env });
      await cp(source.folder, path.join(folder, 'added'), { recursive: true });
      await run('sync', []);
      return timed(async () => {
        await run('datalad', ['save', '--message', 'add'], { cwd: folder, env });
        await run('sync', ['-f', folder]);
      });
    },
    clear: () => putAside(bench, source, folder),
  };
}

/** @param sample how many of the files it is given; its time is scaled to all of them */
export function rclone(bench: Bench, source: Source, sample: number): Contestant {
  const given = Math.min(source.count, sample);
  const list = path.join(bench.root, `rclone-${source.count}.txt`);
  let nginx: Nginx;
  let root: string;
  let env: Record<string, string>;
  const sampled =
    given < source.count
      ? `; the WebDAV back end paces itself at 100 calls a second, so it gets ${given} of the files, and its time is scaled`
      : '';
  return {
    name: 'rclone to nginx-webdav',
    note: `\`rclone copy --transfers 32\` to nginx's WebDAV module${sampled}; ${SYNC}; no hash, no version`,
    async setUp() {
      await findProgram('rclone');
      env = await environment(bench);
      const name = `webdav-${source.count}`;
      root = await bench.folder(`${name}/root`);
      const names = Array.from({ length: given }, (_, index) => String(index).padStart(5, '0'));
      await writeFile(list, `${names.join('\n')}\n`);
      nginx = await startNginx(bench, name, webdav(root), [await davModule()]);
    },
    async run({ stamp }) {
      const target = ['--webdav-url', `http://127.0.0.1:${nginx.port}/`, '--config', '/dev/null'];
      const choice = ['--files-from-raw', list, '--transfers', '32', '--checkers', '32'];
      const seconds = await timed(async () => {
        const copy = ['copy', source.folder, `:webdav:${stamp}`, '--quiet'];
        await run('rclone', [...copy, ...target, ...choice], { env });
        await run('sync', ['-f', root]);
      });
      return (seconds * source.count) / given;
    },
    clear: () => emptyFolder(root),
    tearDown: async () => nginx?.stop(),
  };
}

function webdav(root: string): string[] {
  return [
    `root ${root};`,
    'client_max_body_size 0;',
    'dav_methods PUT DELETE MKCOL COPY MOVE;',
    'dav_ext_methods PROPFIND OPTIONS;',
    'create_full_put_path on;',
  ];
}

/** Where Debian keeps the module that adds PROPFIND, without which no WebDAV client works. */
async function davModule(): Promise<string> {
  const name = 'ngx_http_dav_ext_module.so';
  const found = await findFile(['/usr/lib/nginx/modules', '/usr/share/nginx/modules'], name);
  if (found) return found;
  throw new LeftOut('nginx lacks PROPFIND (Debian package libnginx-mod-http-dav-ext)');
}

async function findFile(folders: readonly string[], name: string): Promise<string | null> {
  for (const folder of folders) {
    const file = path.join(folder, name);
    const there = await access(file).then(
      () => true,
      () => false,
    );
    if (there) return file;
  }
  return null;
}
