import type { OnModuleDestroy } from '@nestjs/common';
import type { ObjectReader, StorageBackend } from '../../core/contracts/storage-backend.js';

/** How long an object stays open for whoever asks for more of it. */
const MAX_AGE_MS = 2_000;
/** How many objects stay open for that; more are opened each time. */
const MAX_KEPT = 256;

/** An open object, for one download. */
export interface ObjectLease {
  readonly reader: ObjectReader;
  /** Gives it back; a reader that has failed is not used again. */
  release(outcome: 'good' | 'failed'): void;
}

interface OpenObject {
  readonly reader: Promise<ObjectReader>;
  readonly openedAt: number;
  users: number;
}

/**
 * Objects that are open. Opening and closing one takes longer than reading a small range of it, and
 * who reads one range soon reads the next, so an object stays open for a moment.
 *
 * What is open goes on reading what it was opened on, though that be replaced. The caller therefore
 * names the version of the row that it has just read: healing a file changes its row, so nobody who
 * sees it healed is given the damaged bytes.
 */
export class OpenObjects implements OnModuleDestroy {
  private readonly kept = new Map<string, OpenObject>();
  private readonly sweep: NodeJS.Timeout;

  constructor(
    private readonly backend: Pick<StorageBackend, 'openReader'>,
    maxAgeMs = MAX_AGE_MS,
  ) {
    this.sweep = setInterval(() => this.dropOlderThan(maxAgeMs), maxAgeMs / 2).unref();
  }

  onModuleDestroy(): void {
    clearInterval(this.sweep);
    this.dropOlderThan(-1);
  }

  /** @throws ObjectMissing */
  async acquire(key: string, rowVersion: string): Promise<ObjectLease> {
    const name = `${rowVersion} ${key}`;
    const object = this.kept.get(name) ?? this.open(name, key);
    object.users += 1;
    try {
      const reader = await object.reader;
      return { reader, release: (outcome) => this.release(name, object, outcome) };
    } catch (error) {
      this.forget(name, object);
      throw error;
    }
  }

  private open(name: string, key: string): OpenObject {
    const object = { reader: this.backend.openReader(key), openedAt: performance.now(), users: 0 };
    if (this.kept.size < MAX_KEPT) this.kept.set(name, object);
    return object;
  }

  private release(name: string, object: OpenObject, outcome: 'good' | 'failed'): void {
    object.users -= 1;
    if (outcome === 'failed') this.forget(name, object);
    this.closeUnused(name, object);
  }

  private dropOlderThan(ageMs: number): void {
    const now = performance.now();
    for (const [name, object] of this.kept) {
      if (now - object.openedAt <= ageMs) continue;
      this.kept.delete(name);
      this.closeUnused(name, object);
    }
  }

  private forget(name: string, object: OpenObject): void {
    if (this.kept.get(name) === object) this.kept.delete(name);
  }

  private closeUnused(name: string, object: OpenObject): void {
    if (object.users > 0 || this.kept.get(name) === object) return;
    void object.reader.then((reader) => reader.close());
  }
}
