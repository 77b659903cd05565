import type { LogEntry } from '../log/entry-source.js';
import { EventView } from '../log/events.dto.js';

const texts = new WeakMap<LogEntry, string>();

/** The event as JSON; made once, however many readers share the entry. */
export function eventText(entry: LogEntry): string {
  let text = texts.get(entry);
  if (text === undefined) {
    text = JSON.stringify(EventView.of(entry));
    texts.set(entry, text);
  }
  return text;
}
