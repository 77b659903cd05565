import { Injectable, Logger } from '@nestjs/common';
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';

/**
 * The process's metrics (https://prometheus.io/docs/concepts/metric_types/). Names begin with
 * `varve_` and end in their unit; a label takes few values, never an id.
 */
@Injectable()
export class Metrics {
  readonly registry = new Registry();
  private readonly logger = new Logger(Metrics.name);
  private readonly stores: ((registry: Registry) => Promise<void>)[] = [];

  constructor() {
    collectDefaultMetrics({ register: this.registry });
  }

  counter<Label extends string = never>(
    name: string,
    help: string,
    labelNames: Label[] = [],
  ): Counter<Label> {
    return new Counter({ name, help, labelNames, registers: [this.registry] });
  }

  histogram<Label extends string = never>(
    name: string,
    help: string,
    labelNames: Label[] = [],
    buckets?: number[],
  ): Histogram<Label> {
    return new Histogram({
      name,
      help,
      labelNames,
      registers: [this.registry],
      ...(buckets && { buckets }),
    });
  }

  /**
   * Adds series that are kept elsewhere, such as in the database: `fill` puts them into an empty
   * registry at each scrape. They must be named like no other; while it fails, they are left out.
   */
  addStore(fill: (registry: Registry) => Promise<void>): void {
    this.stores.push(fill);
  }

  /** Everything in the Prometheus text format. */
  async scrape(): Promise<string> {
    const stored = await Promise.all(this.stores.map((fill) => this.filled(fill)));
    return Registry.merge([this.registry, ...stored]).metrics();
  }

  /** @param collect called before each scrape, to set the gauge to what is true then */
  gauge<Label extends string = never>(
    name: string,
    help: string,
    labelNames: Label[] = [],
    collect?: (gauge: Gauge<Label>) => void | Promise<void>,
  ): Gauge<Label> {
    return new Gauge({
      name,
      help,
      labelNames,
      registers: [this.registry],
      ...(collect && {
        collect(this: Gauge<Label>) {
          return collect(this);
        },
      }),
    });
  }

  private async filled(fill: (registry: Registry) => Promise<void>): Promise<Registry> {
    const registry = new Registry();
    try {
      await fill(registry);
    } catch (error) {
      // The other metrics are wanted all the more while the database is away.
      this.logger.warn({ err: error }, 'Some metrics could not be read');
      registry.clear();
    }
    return registry;
  }
}
