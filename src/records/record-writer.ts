import {
  Inject,
  Injectable,
  Logger,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
  type OnModuleInit,
} from '@nestjs/common';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Counter } from 'prom-client';
import { CannotStart } from '../core/cannot-start.js';
import { STORAGE_BACKEND, type StorageBackend } from '../core/contracts/storage-backend.js';
import { UNIT_OF_WORK, type UnitOfWork } from '../core/contracts/unit-of-work.js';
import { CONFIG, type Config } from '../platform/config/config.js';
import { Metrics } from '../platform/metrics/metrics.js';
import { claimRecords, outrunRecord, settleRecord, type ClaimedRecord } from './record-claims.js';
import { RecordStore } from './record-store.js';

/** How many records are written side by side. */
const PARALLEL = 4;

/** How long stopping waits for the last records; what is left is written after the next start. */
const LAST_FLUSH_MS = 5_000;

/**
 * Writes what datasets and users have become to the storage, so that a database can be made anew
 * from there. Changes are noted in the transactions that make them; here they are claimed, read in a
 * short transaction, and written outside of any.
 */
@Injectable()
export class RecordWriter implements OnModuleInit, OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger(RecordWriter.name);
  private readonly store: RecordStore;
  private readonly written: Counter<'outcome'>;
  private readonly stop = new AbortController();
  private loop: Promise<void> = Promise.resolve();

  constructor(
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
    @Inject(STORAGE_BACKEND) backend: StorageBackend,
    @Inject(CONFIG) private readonly config: Pick<Config, 'RECORDS_INTERVAL'>,
    metrics: Metrics,
  ) {
    this.store = new RecordStore(backend);
    this.written = metrics.counter(
      'varve_records_written_total',
      'Records that were written to the storage for a rebuild, by how that ended',
      ['outcome'],
    );
  }

  /** @throws CannotStart on a database that is still being rebuilt */
  async onModuleInit(): Promise<void> {
    const unfinished = await this.unitOfWork.read((tx) =>
      tx.query('SELECT FROM rebuilds WHERE finished_at IS NULL'),
    );
    if (unfinished.length > 0) {
      throw new CannotStart(
        'The rebuild of this database has not come to its end: run `npm run rebuild` again.',
      );
    }
  }

  onApplicationBootstrap(): void {
    this.loop = this.run();
  }

  async onModuleDestroy(): Promise<void> {
    this.stop.abort();
    await this.loop;
    const flushed = new AbortController();
    const limit = sleep(LAST_FLUSH_MS, null, flushed).catch(() => undefined);
    await Promise.race([this.tryFlush().finally(() => flushed.abort()), limit]);
  }

  /** Writes the records of everything that had changed when it was called. */
  async flush(): Promise<void> {
    for (;;) {
      const claimed = await this.unitOfWork.run((tx) => claimRecords(tx));
      if (claimed.length === 0) return;
      const rest = claimed.values();
      const worker = async () => {
        for (const record of rest) await this.write(record);
      };
      await Promise.all(Array.from({ length: PARALLEL }, worker));
    }
  }

  private async run(): Promise<void> {
    const { signal } = this.stop;
    while (!signal.aborted) {
      await this.tryFlush();
      await sleep(this.config.RECORDS_INTERVAL, null, { signal, ref: false }).catch(
        () => undefined,
      );
    }
  }

  private async tryFlush(): Promise<void> {
    try {
      await this.flush();
    } catch (error) {
      this.logger.warn({ err: error }, 'Records could not be claimed');
    }
  }

  /** One that cannot be written keeps its lease, and is tried again once that has run out. */
  private async write(record: ClaimedRecord): Promise<void> {
    const { name } = record;
    try {
      const newest = await this.store.newest(name.origin, name);
      if (newest >= name.sequence) {
        await this.unitOfWork.run((tx) => outrunRecord(tx, name, newest));
        return;
      }
      await this.store.write(name, record.content);
      await this.unitOfWork.run((tx) => settleRecord(tx, record));
      await this.store.deleteOlder(name);
      this.written.inc({ outcome: 'written' });
    } catch (error) {
      this.written.inc({ outcome: 'failed' });
      this.logger.error({ err: error, kind: name.kind, id: name.id }, 'A record was not written');
    }
  }
}
