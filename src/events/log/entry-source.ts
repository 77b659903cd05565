import type { DomainEvent } from '../../core/contracts/event-bus.js';
import type { LogPosition } from './log-position.js';

/** An event, and where it stands in the log. */
export interface LogEntry {
  readonly position: LogPosition;
  readonly event: DomainEvent;
}

/** The events after a position, as far as one reading goes. */
export interface LogPage {
  readonly entries: readonly LogEntry[];
  /** Where the next page begins. */
  readonly end: LogPosition;
  /** Whether the next page can be read at once. */
  readonly isFull: boolean;
}

export const PAGE = 500;

/** From where somebody who has a position takes what follows it. */
export interface EntrySource {
  /** What comes after a position, in the log's order and without a gap; nothing, if it is not there yet. */
  after(position: LogPosition): Promise<LogPage>;

  /** The same, read from the log at this moment: what is settled is in it, whatever has been told. */
  readAfter(position: LogPosition): Promise<LogPage>;

  close(): Promise<void>;
}
