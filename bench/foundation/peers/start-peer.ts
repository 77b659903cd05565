import path from 'node:path';
import type { Bench } from '../../harness/bench.js';
import { ChildProcess } from '../../harness/processes.js';

/** Starts a server of this folder in a Node of its own, the same Node that runs Varve. */
export function startPeer(bench: Bench, name: string, ...args: string[]): Promise<ChildProcess> {
  const program = path.join(import.meta.dirname, `${name}.js`);
  return ChildProcess.start(process.execPath, [program, ...args], {
    logFile: path.join(bench.root, `${name}.log`),
    ready: /^listens on (\d+)$/m,
  });
}
