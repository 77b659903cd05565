import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { Metrics } from '../../platform/metrics/metrics.js';
import { LOG_START } from '../log/log-position.js';
import { LogReader } from '../log/log-reader.js';
import { DurableSubscriptions } from '../subscriptions/durable-subscriptions.js';
import { SubscriptionStore } from '../subscriptions/subscription-store.js';
import { ForwardRunner } from './forward-runner.js';
import { REMOTE_BUS, type RemoteBus } from './remote-bus.js';

/**
 * Forwards all events to the event bus that `EVENT_BUS_URL` names, where it names one. The position
 * is that of a durable subscription, so that one replica at a time forwards, and the log waits.
 */
@Injectable()
export class Forwarding implements OnModuleInit {
  constructor(
    @Inject(REMOTE_BUS) private readonly remote: RemoteBus | null,
    private readonly subscriptions: DurableSubscriptions,
    private readonly store: SubscriptionStore,
    private readonly reader: LogReader,
    private readonly metrics: Metrics,
  ) {}

  onModuleInit(): void {
    const { remote } = this;
    if (!remote) return;
    const forwarded = this.metrics.counter(
      'varve_events_forwarded_total',
      'Events that were to go to the remote event bus, by what became of them; away counts attempts',
      ['outcome'],
    );
    // Of its own for each remote: another one is not where this one was.
    const name = `events.forward ${remote.address}`;
    const run = () => new ForwardRunner(name, remote, this.store, this.reader, forwarded);
    this.subscriptions.declare({ name, pattern: '**', from: LOG_START, run });
  }
}
