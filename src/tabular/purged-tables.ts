import { Inject, Injectable, type OnApplicationBootstrap, Logger } from '@nestjs/common';
import type { DomainEvent } from '../core/contracts/event-bus.js';
import { UNIT_OF_WORK, type UnitOfWork } from '../core/contracts/unit-of-work.js';
import { HandlesEvent } from '../core/events/handles-event.decorator.js';
import type { Sha256 } from '../core/ids.js';
import { TableWorkers } from './table-workers.js';

/**
 * Lets what was found out about purged contents go with them: names of columns, and the forms in which
 * they are read, hold their values.
 */
@Injectable()
export class PurgedTables implements OnApplicationBootstrap {
  private readonly logger = new Logger(PurgedTables.name);

  constructor(
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
    private readonly workers: TableWorkers,
  ) {}

  /** What was purged, or collected, while this process did not run. */
  async onApplicationBootstrap(): Promise<void> {
    try {
      await this.forgetGone();
    } catch (error) {
      this.logger.warn({ err: error }, 'The table cache could not be compared with the contents');
    }
  }

  /** Of the database: once for all processes. */
  @HandlesEvent('dataset.content.purged', { name: 'tables.drop-captured' })
  async onPurged({ data }: DomainEvent<'dataset.content.purged'>): Promise<void> {
    await this.unitOfWork.run(async (tx) => {
      await tx.query(
        `DELETE FROM dataset_schema_versions s
         USING dataset_purges p
         JOIN dataset_version_files e ON e.file_id = p.notice_file_id
         WHERE p.id = $1 AND s.dataset_version_id = e.version_id
           AND s.component_name = e.component_name`,
        [data.purgeId],
      );
      // Another dataset may have the content, which stays what it is there.
      await tx.query(
        `DELETE FROM table_contents c USING files f
         WHERE f.id = c.file_id AND f.content_hash = $1 AND f.reference_count = 0`,
        [data.sha256],
      );
    });
  }

  /** Of this machine's disk: each process its own. */
  @HandlesEvent('dataset.content.purged', { name: 'tables.forget-cached', durable: false })
  async onPurgedHere({ data }: DomainEvent<'dataset.content.purged'>): Promise<void> {
    await this.workers.cache.forget(data.sha256);
  }

  private async forgetGone(): Promise<void> {
    const cached = await this.workers.cache.contents();
    if (cached.length === 0) return;
    const gone = await this.unitOfWork.read((tx) =>
      tx.query<{ sha256: Sha256 }>(
        `SELECT sha256 FROM unnest($1::text[]) AS cached (sha256)
         WHERE NOT EXISTS (SELECT FROM files WHERE content_hash = sha256)`,
        [cached],
      ),
    );
    for (const { sha256 } of gone) await this.workers.cache.forget(sha256);
  }
}
