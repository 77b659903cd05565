import {
  closeSync,
  fdatasyncSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  renameSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import type {
  DiskAnswer,
  DiskFailure,
  DiskRequest,
  DiskSettings,
  SizedMove,
} from './disk-threads.js';

/**
 * The disk's thread (`workerProgram`): does a small file's steps in one go, where each would be a
 * trip to libuv's pool and back, and blocks only itself.
 */
const { fileMode, directoryMode, unsyncable, syncsFileSystem } = workerData as DiskSettings;

/** So many are synced sooner together with whatever else the file system has yet to write. */
const MANY = 48;

/** The directories that this thread has made, or found, durable. */
const known = new Set<string>();

function writeFile(file: string, bytes: Uint8Array, isSynced: boolean): void {
  const descriptor = openSync(file, 'wx', fileMode);
  try {
    for (let done = 0; done < bytes.length;) {
      done += writeSync(descriptor, bytes, done, bytes.length - done, done);
    }
    if (isSynced) fdatasyncSync(descriptor);
  } catch (error) {
    unlinkSync(file);
    throw error;
  } finally {
    closeSync(descriptor);
  }
}

/**
 * Makes a directory and its parents up to the root; adds to `changed` each with a new name in it.
 * Looks every time that none of them is a link: that costs next to nothing here.
 */
function enter(root: string, directory: string, changed: Set<string>): void {
  if (directory === root) return;
  const parent = path.dirname(directory);
  enter(root, parent, changed);
  if (!known.has(directory)) {
    try {
      mkdirSync(directory, { mode: directoryMode });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    // Even where it was there already: whoever made it may have been killed before this.
    changed.add(parent);
  }
  if (!lstatSync(directory).isDirectory()) {
    throw Object.assign(new Error(`${directory} is not a directory`), { code: 'ENOTDIR' });
  }
  known.add(directory);
}

/** @param content what is to stand there; null for what lies at `from` */
function move({ root, from, to }: SizedMove, content: Uint8Array | null, changed: Set<string>) {
  const directory = path.dirname(to);
  const put = () => (content ? create(to, from, content) : renameSync(from, to));
  try {
    enter(root, directory, changed);
    put();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    // Perhaps somebody tidied an empty directory away since it was made.
    for (let at = directory; at !== root; at = path.dirname(at)) known.delete(at);
    enter(root, directory, changed);
    put();
  }
  changed.add(directory);
}

/**
 * Writes a file where it stays: no row names it yet. What stands there already may be read by
 * somebody, or be what a crash has left: it is replaced in one step.
 */
function create(to: string, aside: string, content: Uint8Array): void {
  try {
    writeFile(to, content, false);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    writeFile(aside, content, false);
    renameSync(aside, to);
  }
}

/**
 * Syncs the whole file system below a directory, where that is worth it for `count` files and the
 * system has a program for it (Node has no syncfs). Where it fails, what is then synced one by one
 * tells why.
 */
function syncsAtOnce(directory: string, count: number): boolean {
  if (!syncsFileSystem || count < MANY) return false;
  return spawnSync('sync', ['-f', directory], { stdio: 'ignore' }).status === 0;
}

function syncFile(file: string): void {
  const descriptor = openSync(file, 'r+');
  try {
    fdatasyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function syncDirectory(directory: string): void {
  const descriptor = openSync(directory, 'r');
  try {
    fsyncSync(descriptor);
  } catch (error) {
    if (!unsyncable.includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  } finally {
    closeSync(descriptor);
  }
}

const ALL_SYNCED: DiskAnswer['unsynced'] = { file: [], directory: [] };

/** Moves what can be moved, and tells what has to be synced for that to last. */
function moveAll({ moves, bytes }: Extract<DiskRequest, { step: 'move' }>): DiskAnswer {
  const changed = new Set<string>();
  let at = 0;
  const failures = moves.map((one) => {
    const { sizeBytes } = one;
    const content = sizeBytes === null ? null : bytes.subarray(at, (at += sizeBytes));
    return attempt(() => move(one, content, changed));
  });
  const moved = moves.filter((one, index) => one.sizeBytes !== null && failures[index] === null);
  const roots = new Set(moves.map(({ root }) => root));
  const count = changed.size + moved.length;
  if ([...roots].every((root) => syncsAtOnce(root, count)))
    return { failures, unsynced: ALL_SYNCED };
  return { failures, unsynced: { file: moved.map(({ to }) => to), directory: [...changed] } };
}

function attempt(step: () => void): DiskFailure | null {
  try {
    step();
    return null;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return { code: code ?? null, message };
  }
}

function answer(request: DiskRequest): DiskAnswer {
  switch (request.step) {
    case 'write':
      return {
        failures: [attempt(() => writeFile(request.file, request.bytes, true))],
        unsynced: ALL_SYNCED,
      };
    case 'move':
      return moveAll(request);
    case 'sync': {
      const sync = request.kind === 'file' ? syncFile : syncDirectory;
      return { failures: [attempt(() => request.paths.forEach(sync))], unsynced: ALL_SYNCED };
    }
  }
}

parentPort?.on('message', (request: DiskRequest) => parentPort?.postMessage(answer(request)));
