import { Injectable } from '@nestjs/common';
import { LRUCache } from 'lru-cache';
import { BusConnections } from '../bus-connections.js';
import type { EntrySource, LogPage } from './entry-source.js';
import { readAfter } from './event-log.js';
import { toCursor, type LogPosition } from './log-position.js';

/** Readers that are near each other read once. */
const KEPT_PAGES = 4;
const LOOK_AGAIN_MS = { first: 2, last: 100 };

interface Reading {
  /** The ring after which it was begun: what it found is not younger than that. */
  readonly ring: number;
  readonly page: Promise<LogPage>;
  isFull: boolean;
}

/** Reads the log, once for all in this process who ask for the same page. */
@Injectable()
export class LogReader implements EntrySource {
  private readonly readings = new LRUCache<string, Reading>({ max: KEPT_PAGES });
  private rings = 0;
  private lookAgainMs = LOOK_AGAIN_MS.first;
  private lookAgain: NodeJS.Timeout | null = null;

  constructor(private readonly connections: BusConnections) {
    connections.onRing(() => this.rings++);
  }

  /** The page after a position; what was committed before the last ring is in it, once settled. */
  after(position: LogPosition): Promise<LogPage> {
    const key = toCursor(position);
    const known = this.readings.get(key);
    // A full page stays what it is; another may have more by now.
    if (known && (known.isFull || known.ring === this.rings)) return known.page;
    const reading: Reading = { ring: this.rings, page: this.readAfter(position), isFull: false };
    this.readings.set(key, reading);
    reading.page.then(
      ({ isFull }) => (reading.isFull = isFull),
      () => this.readings.delete(key),
    );
    return reading.page;
  }

  async readAfter(position: LogPosition): Promise<LogPage> {
    const page = await readAfter(this.connections.pool, position);
    if (page.isHeldBack) this.lookAgainSoon();
    else this.lookAgainMs = LOOK_AGAIN_MS.first;
    return page;
  }

  /** Is everybody's, and closed with the connections. */
  async close(): Promise<void> {}

  /**
   * Rings again soon where something has been committed that an older transaction, still running,
   * holds back: nobody will tell when that one ends.
   */
  private lookAgainSoon(): void {
    this.lookAgain ??= setTimeout(() => {
      this.lookAgain = null;
      this.lookAgainMs = Math.min(this.lookAgainMs * 2, LOOK_AGAIN_MS.last);
      this.connections.ring();
    }, this.lookAgainMs).unref();
  }
}
