import { availableParallelism } from 'node:os';
import type { Sha256 } from '../../core/ids.js';
import { WorkerThread, workerProgram } from '../worker-thread.js';
import { BATCH_BYTES, type Batch } from './batch-pool.js';

/** What the hashing thread is asked. */
export type HashRequest =
  | {
      readonly session: number;
      readonly step: 'update';
      readonly memory: ArrayBuffer;
      readonly sizeBytes: number;
    }
  | { readonly session: number; readonly step: 'digest' | 'forget' };

/** What it answers each request with: the memory that came with it, or the digest. */
export type HashAnswer = ArrayBuffer | string | null;

/** More threads than this would hash faster than any disk writes. */
const MAX_WORKERS = 8;

/** The hash of one content, computed on another thread. */
export interface HashSession {
  /** Adds the first `sizeBytes` of a batch; settles, in the order of the calls, once it is back. */
  update(batch: Batch, sizeBytes: number): Promise<void>;
  digest(): Promise<Sha256>;
  /** Ends it without a digest. */
  abandon(): void;
}

/**
 * Threads that hash, started as they are needed, one for each core but the main thread's. They do
 * not keep the process alive while they have nothing to do.
 */
export class Sha256Workers {
  private readonly threads: HashThread[] = [];
  private readonly limit = Math.max(1, Math.min(availableParallelism() - 1, MAX_WORKERS));
  private sessions = 0;

  open(): HashSession {
    const thread = this.choose();
    const session = ++this.sessions;
    thread.sessions++;
    let isOpen = true;
    const end = () => {
      if (isOpen) thread.sessions--;
      isOpen = false;
    };
    return {
      async update(batch, sizeBytes) {
        const memory = batch.bytes.buffer;
        const back = await thread.ask({ session, step: 'update', memory, sizeBytes }, [memory]);
        batch.bytes = Buffer.from(back as ArrayBuffer, 0, BATCH_BYTES);
      },
      digest: async () => (await thread.ask({ session, step: 'digest' }).finally(end)) as Sha256,
      abandon() {
        if (isOpen) thread.ask({ session, step: 'forget' }).catch(() => {});
        end();
      },
    };
  }

  async close(): Promise<void> {
    await Promise.all(this.threads.splice(0).map((thread) => thread.stop()));
  }

  private choose(): HashThread {
    const living = this.threads.filter((thread) => thread.isAlive);
    this.threads.splice(0, this.threads.length, ...living);
    const idlest = living.toSorted((a, b) => a.sessions - b.sessions)[0];
    if (idlest && (idlest.sessions === 0 || living.length >= this.limit)) return idlest;
    const thread = new HashThread();
    this.threads.push(thread);
    return thread;
  }
}

class HashThread extends WorkerThread<HashRequest, HashAnswer> {
  sessions = 0;

  constructor() {
    super('sha256', workerProgram('sha256.worker', import.meta.url));
  }
}
