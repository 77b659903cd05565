import { createHash, type Hash } from 'node:crypto';
import { parentPort } from 'node:worker_threads';
import type { HashAnswer, HashRequest } from './sha256-workers.js';

/** The hashing thread (`workerProgram`). It gives a batch's memory back with the answer. */
const hashes = new Map<number, Hash>();

function answer(request: HashRequest): HashAnswer {
  switch (request.step) {
    case 'update': {
      let hash = hashes.get(request.session);
      if (!hash) hashes.set(request.session, (hash = createHash('sha256')));
      hash.update(new Uint8Array(request.memory, 0, request.sizeBytes));
      return request.memory;
    }
    case 'digest': {
      const hash = hashes.get(request.session) ?? createHash('sha256');
      hashes.delete(request.session);
      return hash.digest('hex');
    }
    case 'forget':
      hashes.delete(request.session);
      return null;
  }
}

parentPort?.on('message', (request: HashRequest) => {
  const answered = answer(request);
  parentPort?.postMessage(answered, answered instanceof ArrayBuffer ? [answered] : []);
});
