import { Inject, Injectable, type OnModuleDestroy } from '@nestjs/common';
import { AUTHENTICATOR, type PrincipalAuthenticator } from '../../core/contracts/authenticator.js';
import { CREDENTIAL_WATCH, type CredentialWatch } from '../../core/contracts/credential-watch.js';
import { Unavailable } from '../../core/problems.js';
import { CONFIG, type Config } from '../../platform/config/config.js';
import { Draining } from '../../platform/health/draining.js';
import { Metrics } from '../../platform/metrics/metrics.js';
import { BusConnections } from '../bus-connections.js';
import { LiveFeed } from '../live-feed.js';
import { EventAccess } from '../log/event-access.js';
import { LOG_START, type LogPosition } from '../log/log-position.js';
import { LogReader } from '../log/log-reader.js';
import { EventStream, type EventSink, type StreamSelection } from './event-stream.js';

const RETRY_AFTER_SECONDS = 10;
const PATIENCE_MS = 30_000;

/** All live streams of this process: wakes them, and ends them when it stops. */
@Injectable()
export class LiveStreams implements OnModuleDestroy {
  private readonly streams = new Set<EventStream>();
  private readonly forget: () => void;

  constructor(
    connections: BusConnections,
    draining: Draining,
    metrics: Metrics,
    private readonly feed: LiveFeed,
    private readonly reader: LogReader,
    private readonly access: EventAccess,
    @Inject(AUTHENTICATOR) private readonly authenticator: PrincipalAuthenticator,
    @Inject(CREDENTIAL_WATCH) private readonly watch: CredentialWatch,
    @Inject(CONFIG)
    private readonly config: Pick<Config, 'EVENT_STREAM_HEARTBEAT' | 'EVENT_STREAM_LIMIT'>,
  ) {
    this.forget = connections.onRing(() => {
      for (const stream of this.streams) stream.ring();
    });
    draining.signal.addEventListener('abort', () => this.endAll());
    metrics.gauge('varve_event_streams', 'Live streams that are open', [], (gauge) =>
      gauge.set(this.streams.size),
    );
  }

  /** Where a stream begins that is asked for no more than what comes. */
  now(): LogPosition {
    return this.feed.position ?? LOG_START;
  }

  /**
   * Follows the log for whoever the credentials belong to, until somebody ends it.
   * @param openSink called once there is room: whatever it sends, the reader was let in
   * @throws Unavailable where there are too many
   */
  open(credentials: string, selection: StreamSelection, openSink: () => EventSink): EventStream {
    if (this.streams.size >= this.config.EVENT_STREAM_LIMIT) {
      throw new Unavailable('Too many live streams are open here.', RETRY_AFTER_SECONDS);
    }
    const stream = new EventStream(
      selection,
      () => this.authenticator.identify(credentials),
      this.watch,
      this.reader,
      this.access,
      openSink(),
      { heartbeatMs: this.config.EVENT_STREAM_HEARTBEAT, patienceMs: PATIENCE_MS },
    );
    this.streams.add(stream);
    void stream.run().finally(() => this.streams.delete(stream));
    return stream;
  }

  onModuleDestroy(): void {
    this.endAll();
    this.forget();
  }

  private endAll(): void {
    for (const stream of this.streams) stream.end('server-stopping');
  }
}
