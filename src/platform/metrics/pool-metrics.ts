import { Injectable } from '@nestjs/common';
import type { Pool } from 'pg';
import { DataSource } from 'typeorm';
import { Metrics } from './metrics.js';

/** How busy the database connections are. */
@Injectable()
export class PoolMetrics {
  constructor(metrics: Metrics, dataSource: DataSource) {
    metrics.gauge(
      'varve_database_pool_connections',
      'Database connections, by what they do; waiting counts requests for one',
      ['state'],
      (gauge) => {
        const { master } = dataSource.driver as unknown as { master?: Pool };
        if (!master) return;
        gauge.set({ state: 'idle' }, master.idleCount);
        gauge.set({ state: 'busy' }, master.totalCount - master.idleCount);
        gauge.set({ state: 'waiting' }, master.waitingCount);
      },
    );
  }
}
