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
import path from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import type { DiskAnswer, DiskFailure, DiskRequest, DiskSettings, Move } from './disk-threads.js';

/**
 * The disk's thread (`workerProgram`): does a small file's steps in one go, where each would be a
 * trip to libuv's pool and back, and blocks only itself.
 */
const { fileMode, directoryMode, unsyncable } = workerData as DiskSettings;

/** The directories that this thread has made, or found, durable. */
const known = new Set<string>();

function writeFile(file: string, bytes: Uint8Array): void {
  const descriptor = openSync(file, 'wx', fileMode);
  try {
    for (let done = 0; done < bytes.length;) {
      done += writeSync(descriptor, bytes, done, bytes.length - done, done);
    }
    fdatasyncSync(descriptor);
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

/** Moves what can be moved, and tells which directories have to be synced for that to last. */
function moveAll(moves: readonly Move[]): DiskAnswer {
  const changed = new Set<string>();
  const failures = moves.map((one) => attempt(() => move(one, changed)));
  return { failures, changed: [...changed] };
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
      return { failures: [attempt(() => writeFile(request.file, request.bytes))], changed: [] };
    case 'move':
      return moveAll(request.moves);
    case 'sync': {
      const sync = () => request.directories.forEach(syncDirectory);
      return { failures: [attempt(sync)], changed: [] };
    }
  }
}

parentPort?.on('message', (request: DiskRequest) => parentPort?.postMessage(answer(request)));
