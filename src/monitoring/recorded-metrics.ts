import { Inject, Injectable } from '@nestjs/common';
import { Counter, Gauge, type Registry } from 'prom-client';
import { UNIT_OF_WORK, type Tx, type UnitOfWork } from '../core/contracts/unit-of-work.js';
import type { RecordedMetric } from './recorded-metric.js';

const MAX_SERIES = 1_000;
const MAX_SERIES_OF_ONE = 100;
/** What nobody has recorded for a day makes room. */
const FORGOTTEN_AFTER = '1 day';

interface Series {
  readonly name: string;
  readonly kind: 'gauge' | 'counter';
  readonly labels: Record<string, string>;
  readonly value: number;
}

/** The latest value of each series, for all replicas together. */
@Injectable()
export class RecordedMetrics {
  constructor(@Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork) {}

  /**
   * Records a value: of a gauge the latest by `time` stays, a counter grows by it.
   * @returns false where there are too many series, or the name is one of the other kind
   */
  async record(
    tx: Tx,
    { name, value, kind, labels }: RecordedMetric,
    time: string,
  ): Promise<boolean> {
    const recorded = await tx.query(
      `INSERT INTO recorded_metrics AS r (name, labels, kind, value, recorded_at)
       SELECT $1, $2::jsonb, $3, $4, $5
       WHERE NOT EXISTS (SELECT FROM recorded_metrics WHERE name = $1 AND kind <> $3)
         AND (EXISTS (SELECT FROM recorded_metrics WHERE name = $1 AND labels = $2::jsonb)
           OR ((SELECT count(*) FROM recorded_metrics WHERE name = $1) < ${MAX_SERIES_OF_ONE}
             AND (SELECT count(*) FROM recorded_metrics) < ${MAX_SERIES}))
       ON CONFLICT (name, labels) DO UPDATE SET
         value = CASE WHEN r.kind = 'counter' THEN r.value + excluded.value
           WHEN excluded.recorded_at >= r.recorded_at THEN excluded.value ELSE r.value END,
         recorded_at = greatest(r.recorded_at, excluded.recorded_at), seen_at = now()
       RETURNING name`,
      [name, JSON.stringify(labels), kind, value, time],
    );
    return recorded.length > 0;
  }

  /** Puts all series into a registry. */
  async show(registry: Registry): Promise<void> {
    const series = await this.unitOfWork.read((tx) =>
      tx.query<Series>(
        'SELECT name, kind, labels, value FROM recorded_metrics ORDER BY name, labels',
      ),
    );
    for (const [name, own] of Map.groupBy(series, (one) => one.name)) {
      const settings = {
        name,
        help: 'Recorded by events',
        labelNames: [...new Set(own.flatMap(({ labels }) => Object.keys(labels)))],
        registers: [registry],
      };
      if (own[0]?.kind === 'counter') {
        const counter = new Counter(settings);
        for (const { labels, value } of own) counter.inc(labels, value);
      } else {
        const gauge = new Gauge(settings);
        for (const { labels, value } of own) gauge.set(labels, value);
      }
    }
  }

  /** Forgets the series that nobody records any more; says how many. */
  async forget(): Promise<number> {
    const gone = await this.unitOfWork.run((tx) =>
      tx.query(
        `DELETE FROM recorded_metrics WHERE seen_at < now() - interval '${FORGOTTEN_AFTER}'
         RETURNING name`,
      ),
    );
    return gone.length;
  }
}
