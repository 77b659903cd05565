import { Controller, Get, Headers, Query, Req, Res } from '@nestjs/common';
import { ApiHeader, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Request, Response } from 'express';
import { InvalidInput, Unauthenticated, Unavailable } from '../../core/problems.js';
import { SignedIn } from '../../platform/http/access.decorators.js';
import { Problems } from '../../platform/http/problems.decorator.js';
import type { LogEntry } from '../log/entry-source.js';
import { EventSelectionQuery } from '../log/events.dto.js';
import { toCursor, type LogPosition } from '../log/log-position.js';
import { patternsOf, positionOf } from '../log/selection.js';
import type { EventSink, StreamEnd } from './event-stream.js';
import { eventText } from './event-text.js';
import { LiveStreams } from './live-streams.js';

/** How long a reader that was cut off waits before it comes back. */
const RETRY_MS = 2_000;

@ApiTags('events')
@Controller({ path: 'events/stream' })
export class SseController {
  constructor(private readonly streams: LiveStreams) {}

  @Get()
  @SignedIn()
  @ApiHeader({
    name: 'Last-Event-ID',
    required: false,
    description: 'The id of the last event that was received; sent by EventSource by itself.',
    schema: { type: 'string' },
  })
  @ApiOperation({
    operationId: 'streamEvents',
    summary: 'Follow what happens, as Server-Sent Events or over a WebSocket',
    description:
      'From `Last-Event-ID` or `after`, without a gap or a double; otherwise from now. The id of each message is the event’s `cursor`, its data the event. A message of the type `end` says why the server ends the stream: `access-withdrawn`, `too-slow`, `server-stopping` or `failed`. An upgrade to a WebSocket takes messages `{"action": "subscribe", "id": "…", "type": ["dataset.**"], "after": "…"}` and `{"action": "unsubscribe", "id": "…"}`.',
  })
  @ApiOkResponse({
    content: { 'text/event-stream': { schema: { type: 'string' } } },
    description: 'Events, for as long as the connection lasts',
  })
  @Problems(InvalidInput, Unauthenticated, Unavailable)
  follow(
    @Query() { type, subject, after }: EventSelectionQuery,
    @Headers('last-event-id') lastEventId: string | undefined,
    @Req() req: Request,
    @Res() res: Response,
  ): void {
    const resumed = positionOf(lastEventId || undefined, 'Last-Event-ID');
    const from = resumed ?? positionOf(after, 'after') ?? this.streams.now();
    const selection = { patterns: patternsOf(type), subject: subject ?? null, from };
    const stream = this.streams.open(
      req.headers.authorization ?? '',
      selection,
      () => new SseSink(res, from),
    );
    res.once('close', () => stream.end());
  }
}

/** Writes messages of https://html.spec.whatwg.org/multipage/server-sent-events.html. */
class SseSink implements EventSink {
  constructor(
    private readonly res: Response,
    from: LogPosition,
  ) {
    res.status(200).set({
      'Content-Type': 'text/event-stream; charset=utf-8',
      'Cache-Control': 'no-store, no-transform',
      // Nginx would keep what is meant to arrive now.
      'X-Accel-Buffering': 'no',
    });
    res.flushHeaders();
    res.write(`retry: ${RETRY_MS}\nid: ${toCursor(from)}\n\n`);
  }

  send(entries: readonly LogEntry[], cursor: LogPosition): Promise<void> {
    const messages = entries.map(
      (entry) =>
        `id: ${toCursor(entry.position)}\nevent: ${entry.event.type}\ndata: ${eventText(entry)}\n\n`,
    );
    // Where it stands besides: what was passed over is not read again.
    return this.write(`${messages.join('')}id: ${toCursor(cursor)}\n\n`);
  }

  beat(cursor: LogPosition): Promise<void> {
    return this.write(`:\nid: ${toCursor(cursor)}\n\n`);
  }

  close(reason: StreamEnd): void {
    this.res.end(`event: end\ndata: ${reason}\n\n`);
    // A reader that does not read would never see the end either.
    if (reason === 'too-slow') this.res.destroy();
  }

  private write(text: string): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    // An error is the connection's end, of which the stream hears by itself.
    this.res.write(text, () => resolve());
    return promise;
  }
}
