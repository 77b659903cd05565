import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';

/** Lets the run's PostgreSQL end, and waits until it has cleaned up. */
export default async function teardown(): Promise<void> {
  const { varveTestServer: server } = globalThis as unknown as { varveTestServer: ChildProcess };
  const ended = once(server, 'exit');
  server.stdin?.end();
  await ended;
}
