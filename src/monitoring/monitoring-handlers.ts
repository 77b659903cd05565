import { Inject, Injectable } from '@nestjs/common';
import type { Counter } from 'prom-client';
import type { DomainEvent } from '../core/contracts/event-bus.js';
import { HANDLED_EVENTS, type HandledEvents } from '../core/contracts/handled-events.js';
import { HandlesEvent } from '../core/events/handles-event.decorator.js';
import { Metrics } from '../platform/metrics/metrics.js';
import { readMetric, type Flaw } from './recorded-metric.js';
import { RecordedMetrics } from './recorded-metrics.js';

const NAME = 'monitoring.keep';

/** Makes a Prometheus series of what events have measured; what cannot be one is counted. */
@Injectable()
export class MonitoringHandlers {
  private readonly refused: Counter<'reason'>;

  constructor(
    @Inject(HANDLED_EVENTS) private readonly handled: HandledEvents,
    private readonly recorded: RecordedMetrics,
    metrics: Metrics,
  ) {
    this.refused = metrics.counter(
      'varve_recorded_metrics_refused_total',
      'Measurements of events that became no series, by what is wrong with them',
      ['reason'],
    );
  }

  @HandlesEvent('monitoring.metric.recorded', { name: NAME })
  async onRecorded(event: DomainEvent<'monitoring.metric.recorded'>): Promise<void> {
    const metric = readMetric(event.data);
    let reason: Flaw | 'series' | null = null;
    const isNew = await this.handled.once(NAME, event, async (tx) => {
      if (typeof metric === 'string') reason = metric;
      else if (!(await this.recorded.record(tx, metric, event.time))) reason = 'series';
    });
    if (isNew && reason !== null) this.refused.inc({ reason });
  }
}
