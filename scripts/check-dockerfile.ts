import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';

/**
 * Carries out the Dockerfile's steps outside of Docker: each stage gets a folder for a root, each
 * COPY and RUN happens there, and what each stage with a command holds is started with that, as its
 * own user, until its own health check passes. Base images and the image format are not checked.
 */
interface Stage {
  root: string;
  /** Whether the root is that of the stage it is made from, which must stay as it is. */
  isDerived: boolean;
  workdir: string;
  environment: Record<string, string>;
  user: string | null;
  command: string[];
  healthCommand: string[];
}

/** The account `node` of the base image. */
const NODE_UID = 1000;
const privileged = process.getuid?.() === 0;
const source = path.join(import.meta.dirname, '..');
const base = mkdtempSync(path.join(tmpdir(), 'varve-image-'));
chmodSync(base, 0o755);
const stages = new Map<string, Stage>();
let stage: Stage | undefined;

function instructions(): [keyword: string, rest: string][] {
  return readFileSync(path.join(source, 'Dockerfile'), 'utf8')
    .replace(/^#.*$/gm, '')
    .replace(/\\\n\s*/g, ' ')
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const [keyword = '', ...rest] = line.trim().split(/\s+/);
      return [keyword, rest.join(' ')];
    });
}

/** Where an absolute path of the image lies here. */
function inside(of: Stage, imagePath: string): string {
  return path.join(of.root, path.resolve(of.workdir, imagePath));
}

function copyContext(to: string): void {
  const files = execFileSync('git', ['ls-files', '-z'], { cwd: source, encoding: 'utf8' });
  for (const file of files.split('\0').filter((name) => name !== '')) {
    if (existsSync(path.join(source, file))) {
      cpSync(path.join(source, file), path.join(to, file), { recursive: true });
    }
  }
}

function copy(into: Stage, rest: string): void {
  const words = rest.split(' ');
  const from = words[0]?.startsWith('--from=') ? stages.get(words.shift()!.slice(7)) : undefined;
  const target = words.pop() ?? '.';
  for (const name of words) {
    if (!from && name === '.') {
      copyContext(inside(into, target));
      continue;
    }
    const origin = from ? inside(from, name) : path.join(source, name);
    const isFolder = target.endsWith('/') || target === '.';
    const destination = inside(into, isFolder ? path.join(target, path.basename(name)) : target);
    cpSync(origin, destination, { recursive: true, verbatimSymlinks: true });
  }
}

function run(within: Stage, command: string): void {
  const local = command
    .replaceAll('/data', inside(within, '/data'))
    .replaceAll(/chown node:node (\S+)/g, privileged ? `chown ${NODE_UID}:${NODE_UID} $1` : 'true');
  console.log(`RUN ${command}`);
  const { status } = spawnSync('sh', ['-ec', local], {
    cwd: inside(within, '.'),
    env: { ...process.env, ...within.environment },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  if (status !== 0) throw new Error(`RUN ${command} ended with ${status}`);
}

function stageFrom(from: string, name: string): Stage {
  const parent = stages.get(from);
  if (parent) return { ...parent, environment: { ...parent.environment }, isDerived: true };
  const root = path.join(base, name);
  const none = { environment: {}, user: null, command: [], healthCommand: [] };
  return { root, isDerived: false, workdir: '/', ...none };
}

function apply(keyword: string, rest: string): void {
  if (keyword === 'FROM') {
    const [from = '', name = 'last'] = rest.split(/ AS /i);
    stage = stageFrom(from, name);
    stages.set(name, stage);
    return;
  }
  if (!stage) throw new Error(`${keyword} before FROM`);
  if (stage.isDerived && ['WORKDIR', 'COPY', 'RUN'].includes(keyword)) {
    throw new Error(`this check does not know ${keyword} in a stage that is made from another`);
  }
  if (keyword === 'WORKDIR') {
    stage.workdir = rest;
    mkdirSync(inside(stage, '.'), { recursive: true });
  } else if (keyword === 'COPY') copy(stage, rest);
  else if (keyword === 'RUN') run(stage, rest);
  else if (keyword === 'USER') stage.user = rest;
  else if (keyword === 'CMD') stage.command = JSON.parse(rest) as string[];
  else if (keyword === 'HEALTHCHECK') {
    stage.healthCommand = JSON.parse(rest.slice(rest.indexOf('['))) as string[];
  } else if (keyword === 'ENV') {
    for (const pair of rest.split(' ')) {
      const [name = '', value = ''] = pair.split('=');
      stage.environment[name] = value;
    }
  } else if (!['EXPOSE', 'VOLUME', 'STOPSIGNAL'].includes(keyword)) {
    throw new Error(`this check does not know ${keyword}`);
  }
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0);
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  await once(probe, 'close');
  if (typeof address !== 'object' || !address) throw new Error('no port');
  return address.port;
}

async function start(server: Stage): Promise<void> {
  const { user, command, healthCommand } = server;
  if (user === null || user === 'root') throw new Error('the image must not run as root');
  if (command.length === 0 || healthCommand.length === 0) throw new Error('no CMD or HEALTHCHECK');
  if (server.environment['HOST'] !== '0.0.0.0') throw new Error('HOST must be 0.0.0.0');
  const account = privileged ? { uid: NODE_UID, gid: NODE_UID } : {};
  const options = {
    cwd: inside(server, '.'),
    env: {
      PATH: process.env['PATH'],
      ...server.environment,
      DATA_DIR: inside(server, '/data'),
      PORT: String(await freePort()),
      LOG_LEVEL: 'warn',
    },
    ...account,
  };
  const child = spawn(process.execPath, command.slice(1), { ...options, stdio: 'inherit' });
  const exited = once(child, 'exit');
  let healthy = false;
  for (let attempt = 0; attempt < 60 && !healthy && child.exitCode === null; attempt++) {
    healthy = spawnSync(process.execPath, healthCommand.slice(1), options).status === 0;
    if (!healthy) await new Promise((resolve) => setTimeout(resolve, 500));
  }
  child.kill('SIGTERM');
  const [code] = (await exited) as [number | null];
  if (!healthy) throw new Error('the health check never passed');
  if (code !== 0) throw new Error(`SIGTERM ended the server with ${code}`);
  console.log(`${command.join(' ')}: healthy, and stopped when told`);
}

try {
  if (privileged) chownSync(base, 0, 0);
  for (const [keyword, rest] of instructions()) apply(keyword, rest);
  if (!stage) throw new Error('the Dockerfile has no stage');
  for (const one of stages.values()) if (one === stage || one.command.length > 0) await start(one);
} finally {
  rmSync(base, { recursive: true, force: true });
}
