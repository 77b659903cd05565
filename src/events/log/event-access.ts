import { Inject, Injectable } from '@nestjs/common';
import { ACCESS_POLICY, type AccessPolicy } from '../../core/contracts/access-policy.js';
import { UNIT_OF_WORK, type UnitOfWork } from '../../core/contracts/unit-of-work.js';
import { MAX_ID, type DatasetId, type FileId } from '../../core/ids.js';
import type { Principal } from '../../core/principal.js';
import type { DomainEvent } from '../../core/contracts/event-bus.js';

const SUBJECT = /^(dataset|file|webhook)\/([1-9]\d{0,9})$/;

/**
 * Who may be told of which event: whoever may read its subject, by the same rules as everything
 * else. What is about anything but a dataset, a file or one's own webhook is for administrators.
 */
@Injectable()
export class EventAccess {
  constructor(
    @Inject(ACCESS_POLICY) private readonly policy: AccessPolicy,
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
  ) {}

  /** Those that the principal may be told of, in their order; three queries however many they are. */
  async visible<Entry extends { readonly event: DomainEvent }>(
    principal: Principal,
    entries: readonly Entry[],
  ): Promise<readonly Entry[]> {
    if (principal.role === 'admin' || entries.length === 0) return entries;
    const subjects = entries.map(({ event }) => SUBJECT.exec(event.subject));
    const idsOf = (kind: string) => [
      ...new Set(
        subjects.flatMap((match) => {
          const id = Number(match?.[2]);
          return match?.[1] === kind && id <= MAX_ID ? [id] : [];
        }),
      ),
    ];
    const datasets = await this.readableDatasets(principal, idsOf('dataset') as DatasetId[]);
    const files = await this.readableFiles(principal, idsOf('file') as FileId[]);
    const webhooks = await this.ownWebhooks(principal, idsOf('webhook'));
    return entries.filter((_, index) => {
      const [, kind, id] = subjects[index] ?? [];
      if (kind === 'webhook') return webhooks.has(Number(id));
      if (kind === 'dataset') return datasets.has(Number(id) as DatasetId);
      return kind === 'file' && files.has(Number(id) as FileId);
    });
  }

  private async readableDatasets(
    principal: Principal,
    ids: readonly DatasetId[],
  ): Promise<Set<DatasetId>> {
    if (ids.length === 0) return new Set();
    const { sql, parameters } = this.policy.readableDatasets(principal, 'd', 2);
    const rows = await this.unitOfWork.read((tx) =>
      tx.query<{ id: DatasetId }>(
        `SELECT d.id FROM datasets d WHERE d.id = ANY($1::integer[]) AND ${sql}`,
        [ids, ...parameters],
      ),
    );
    return new Set(rows.map(({ id }) => id));
  }

  private async ownWebhooks({ userId }: Principal, ids: readonly number[]): Promise<Set<number>> {
    if (ids.length === 0) return new Set();
    const rows = await this.unitOfWork.read((tx) =>
      tx.query<{ id: number }>(
        'SELECT id FROM webhooks WHERE id = ANY($1::integer[]) AND user_id = $2',
        [ids, userId],
      ),
    );
    return new Set(rows.map(({ id }) => id));
  }

  private async readableFiles(principal: Principal, ids: readonly FileId[]): Promise<Set<FileId>> {
    if (ids.length === 0) return new Set();
    return this.unitOfWork.read((tx) => this.policy.readableFiles(tx, principal, ids));
  }
}
