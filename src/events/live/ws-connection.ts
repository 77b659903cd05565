import type { WebSocket } from 'ws';
import { InvalidInput, Problem } from '../../core/problems.js';
import type { LogEntry } from '../log/entry-source.js';
import { toCursor, type LogPosition } from '../log/log-position.js';
import { patternsOf, positionOf } from '../log/selection.js';
import type { EventSink, EventStream, StreamEnd } from './event-stream.js';
import { eventText } from './event-text.js';
import type { LiveStreams } from './live-streams.js';
import { parseMessage, type StreamMessage } from './ws-messages.js';

const MAX_SUBSCRIPTIONS = 20;

/** Codes of https://www.rfc-editor.org/rfc/rfc6455#section-7.4 and its registry. */
const CLOSE_CODES: Record<StreamEnd, number> = {
  'server-stopping': 1001,
  'access-withdrawn': 1008,
  failed: 1011,
  'too-slow': 1013,
};

/** One reader's WebSocket, and the streams that it has subscribed to. */
export class WsConnection {
  private readonly subscriptions = new Map<string, EventStream>();

  constructor(
    private readonly socket: WebSocket,
    private readonly credentials: string,
    private readonly streams: LiveStreams,
  ) {
    socket.on('message', (bytes: Buffer, isBinary: boolean) => {
      if (isBinary) this.tell({ kind: 'error', detail: 'Messages are JSON, as text.' });
      else this.hear(bytes);
    });
    socket.on('close', () => {
      for (const stream of this.subscriptions.values()) stream.end();
    });
    // What goes wrong ends in `close`.
    socket.on('error', () => undefined);
  }

  private hear(bytes: Buffer): void {
    try {
      const message = parseMessage(bytes);
      if (message.action === 'subscribe') this.subscribe(message);
      else this.unsubscribe(message.id);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      this.tell({ kind: 'error', detail: error.message });
    }
  }

  private subscribe({
    id,
    type,
    subject,
    after,
  }: Extract<StreamMessage, { action: 'subscribe' }>): void {
    if (this.subscriptions.has(id)) throw new InvalidInput(`There is a subscription ${id}.`);
    if (this.subscriptions.size >= MAX_SUBSCRIPTIONS) {
      throw new InvalidInput(`A connection has ${MAX_SUBSCRIPTIONS} subscriptions at the most.`);
    }
    const patterns = patternsOf(type);
    const from = positionOf(after, 'after') ?? this.streams.now();
    const selection = { patterns, subject: subject ?? null, from };
    const stream = this.streams.open(this.credentials, selection, () => {
      this.tell({ kind: 'subscribed', id, cursor: toCursor(from) });
      return new WsSink(this.socket, id);
    });
    this.subscriptions.set(id, stream);
  }

  private unsubscribe(id: string): void {
    const stream = this.subscriptions.get(id);
    if (!stream) throw new InvalidInput(`There is no subscription ${id}.`);
    stream.end();
    this.subscriptions.delete(id);
    this.tell({ kind: 'unsubscribed', id });
  }

  private tell(message: object): void {
    this.socket.send(JSON.stringify(message), () => undefined);
  }
}

/** Sends the events of one subscription. */
class WsSink implements EventSink {
  private readonly id: string;

  constructor(
    private readonly socket: WebSocket,
    id: string,
  ) {
    this.id = JSON.stringify(id);
  }

  async send(entries: readonly LogEntry[]): Promise<void> {
    const sent = entries.map((entry) =>
      this.write(`{"kind":"event","id":${this.id},"event":${eventText(entry)}}`),
    );
    await Promise.all(sent);
  }

  beat(cursor: LogPosition): Promise<void> {
    return this.write(`{"kind":"heartbeat","id":${this.id},"cursor":"${toCursor(cursor)}"}`);
  }

  close(reason: StreamEnd): void {
    this.socket.close(CLOSE_CODES[reason], reason);
    // A reader that does not read would never answer the close.
    if (reason === 'too-slow') this.socket.terminate();
  }

  private write(text: string): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.socket.send(text, () => resolve());
    return promise;
  }
}
