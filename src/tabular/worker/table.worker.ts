import { ReadyEngines } from './engines.js';
import { failureOf, perform } from './operations.js';
import type { WorkerAnswer, WorkerRequest } from './protocol.js';

/**
 * A worker's program: answers one request after the other, for as long as somebody listens. What it
 * reads is anybody's, so it may end at any moment, and nothing but it is lost.
 */
function answer(message: WorkerAnswer): void {
  process.send?.(message);
}

const engines = new ReadyEngines();

process.on('message', (request: WorkerRequest) => {
  perform(request, engines).then(
    (result) => answer({ ok: true, answer: result }),
    (error: unknown) => answer({ ok: false, failure: failureOf(error) }),
  );
});
// Ctrl-C reaches every process of a terminal: when to end is the server's to say.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);
process.on('disconnect', () => process.exit(0));
