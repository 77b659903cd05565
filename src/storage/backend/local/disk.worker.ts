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
import type { DiskAnswer, DiskFailure, DiskRequest, DiskSettings, Move } from './disk-threads.js';

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

function move({ root, from, to }: Move, changed: Set<string>): void {
  const directory = path.dirname(to);
  try {
    enter(root, directory, changed);
    renameSync(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    // Perhaps somebody tidied an empty directory away since it was made.
    for (let at = directory; at !== root; at = path.dirname(at)) known.delete(at);
    enter(root, directory, changed);
    renameSync(from, to);
  }
  changed.add(directory);
}

/** Writes files, all of them or none, and leaves syncing them to whoever moves them. */
function writeAll({ files, bytes }: Extract<DiskRequest, { step: 'write-all' }>): void {
  const written: string[] = [];
  try {
    let at = 0;
    for (const { file, sizeBytes } of files) {
      writeFile(file, bytes.subarray(at, at + sizeBytes), false);
      written.push(file);
      at += sizeBytes;
    }
  } catch (error) {
    for (const file of written) unlinkSync(file);
    throw error;
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
function moveAll(moves: readonly Move[]): DiskAnswer {
  const changed = new Set<string>();
  const failures = moves.map((one) => attempt(() => move(one, changed)));
  const moved = moves.filter((one, index) => one.isUnsynced && failures[index] === null);
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
    case 'write-all':
      return { failures: [attempt(() => writeAll(request))], unsynced: ALL_SYNCED };
    case 'move':
      return moveAll(request.moves);
    case 'sync': {
      const sync = request.kind === 'file' ? syncFile : syncDirectory;
      return { failures: [attempt(() => request.paths.forEach(sync))], unsynced: ALL_SYNCED };
    }
  }
}

parentPort?.on('message', (request: DiskRequest) => parentPort?.postMessage(answer(request)));
