import { Inject, Injectable, Logger, type OnApplicationShutdown } from '@nestjs/common';
import { hash } from 'node:crypto';
import { ACCESS_POLICY, type AccessPolicy } from '../../core/contracts/access-policy.js';
import type {
  Artifact,
  ArtifactInput,
  ArtifactProducer,
  Registration,
  SmallArtifactInput,
  StagedArtifact,
} from '../../core/contracts/artifact-producer.js';
import { AUDIT_TRAIL, type AuditTrail } from '../../core/contracts/audit-trail.js';
import { EVENT_BUS, type EventBus } from '../../core/contracts/event-bus.js';
import {
  STORAGE_BACKEND,
  type StagedObject,
  type StorageBackend,
} from '../../core/contracts/storage-backend.js';
import { UNIT_OF_WORK, type Tx, type UnitOfWork } from '../../core/contracts/unit-of-work.js';
import type { Sha256 } from '../../core/ids.js';
import type { Principal } from '../../core/principal.js';
import { CONFIG, type Config } from '../../platform/config/config.js';
import { RequestContext } from '../../platform/logging/request-context.js';
import { Metrics } from '../../platform/metrics/metrics.js';
import { SqlStorageQuotas } from '../quotas/sql-storage-quotas.js';
import { GroupRegistration } from './group-registration.js';
import {
  Registrar,
  type RegisteredArtifact,
  type RegisterOptions,
  type RegistrationEntry,
} from './registrar.js';
import { StreamStager } from './stream-stager.js';

const UNKNOWN_TYPE = 'application/octet-stream';

/** The single way for bytes to enter: stage a stream, then register what was staged. */
@Injectable()
export class StreamArtifactProducer implements ArtifactProducer, OnApplicationShutdown {
  private readonly logger = new Logger(StreamArtifactProducer.name);
  private readonly stager: StreamStager;
  private readonly registrar: Registrar;
  private readonly groups: GroupRegistration;
  /** What has been registered, or dropped: neither can be done to it again. */
  private readonly settled = new WeakSet<StagedArtifact>();
  private readonly receivedBytes;
  private readonly dedupHits;
  private readonly dedupBytes;

  constructor(
    @Inject(STORAGE_BACKEND) private readonly backend: StorageBackend,
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
    @Inject(EVENT_BUS) events: EventBus,
    @Inject(ACCESS_POLICY) policy: AccessPolicy,
    @Inject(CONFIG) config: Pick<Config, 'UPLOAD_HOLD'>,
    metrics: Metrics,
    @Inject(AUDIT_TRAIL) audit: Pick<AuditTrail, 'record'>,
    quotas: SqlStorageQuotas,
  ) {
    this.stager = new StreamStager(backend);
    this.registrar = new Registrar(backend, events, audit, policy, quotas, config.UPLOAD_HOLD);
    this.groups = new GroupRegistration(unitOfWork, this.registrar, (registered) => {
      this.afterCommit(registered.outcomes, registered.leftover);
    });
    this.receivedBytes = metrics.counter(
      'varve_upload_bytes_total',
      'Bytes that were staged, whether or not their content was new.',
    );
    this.dedupHits = metrics.counter(
      'varve_dedup_hits_total',
      'Registered contents that were stored already.',
    );
    this.dedupBytes = metrics.counter(
      'varve_dedup_bytes_total',
      'Bytes that did not have to be stored again.',
    );
  }

  async createArtifact(input: ArtifactInput, registration: Registration): Promise<Artifact> {
    const [artifact] = await this.registerFor([await this.stage(input)], registration.holder, null);
    if (!artifact) throw new Error('A registered content has no artifact');
    return artifact;
  }

  async stage(input: ArtifactInput): Promise<StagedArtifact> {
    const { stream } = input;
    try {
      const { object, sha256 } = await this.stager.stage(stream, {
        sha256: input.expectedSha256 ?? null,
        sizeBytes: input.expectedBytes ?? null,
      });
      this.receivedBytes.inc(object.sizeBytes);
      return {
        ...object,
        sha256,
        fileType: input.fileType ?? null,
        mimeType: input.mimeType ?? UNKNOWN_TYPE,
        compressionType: input.compressionType ?? null,
        metadata: input.metadata ?? {},
      };
    } catch (error) {
      if (!input.leaveOpen) stream.destroy();
      throw error;
    }
  }

  async stageAll(inputs: readonly SmallArtifactInput[]): Promise<StagedArtifact[]> {
    const objects = await this.backend.stageAll(inputs.map(({ content }) => content));
    return inputs.map(({ content, fileType, mimeType }, index) => {
      this.receivedBytes.inc(content.length);
      return {
        ...(objects[index] as StagedObject),
        sha256: hash('sha256', content, 'hex') as Sha256,
        fileType: fileType ?? null,
        mimeType: mimeType ?? UNKNOWN_TYPE,
        compressionType: null,
        metadata: {},
      };
    });
  }

  async register(
    tx: Tx,
    staged: readonly StagedArtifact[],
    registration: Registration,
  ): Promise<Artifact[]> {
    const { holder, isReferredTo = false, isInternal = false, meanwhile } = registration;
    if (isReferredTo && holder !== null)
      throw new Error('A holder’s content is counted by its hold');
    if (staged.length === 0) return [];
    return this.registerIn(tx, this.entries(staged, holder, null), {
      areReferredTo: isReferredTo,
      areInternal: isInternal,
      meanwhile,
    });
  }

  /**
   * Registers staged bytes for a user: in the transaction that is running, or else in one that
   * concurrent calls share. What could not be registered is dropped.
   * @param reader who will be answered; null where nobody asks whether it was there before
   */
  async registerFor(
    staged: readonly StagedArtifact[],
    holder: Registration['holder'],
    reader: Principal | null,
  ): Promise<RegisteredArtifact[]> {
    const entries = this.entries(staged, holder, reader);
    // A shared transaction must not be waited for from within another: that one has a connection,
    // and perhaps rows, for which the shared one may be waiting.
    if (this.unitOfWork.isRunning()) {
      return this.unitOfWork.run((tx) => this.registerIn(tx, entries));
    }
    try {
      return await this.groups.submit(entries);
    } catch (error) {
      this.drop(staged);
      throw error;
    }
  }

  async discard(staged: readonly StagedArtifact[]): Promise<void> {
    const unsettled = staged.filter((artifact) => !this.settled.has(artifact));
    for (const artifact of unsettled) this.settled.add(artifact);
    await this.discardObjects(unsettled);
  }

  async onApplicationShutdown(): Promise<void> {
    await this.stager.close();
  }

  private async registerIn(
    tx: Tx,
    entries: readonly RegistrationEntry[],
    options: RegisterOptions = {},
  ): Promise<RegisteredArtifact[]> {
    tx.afterRollback(() => this.drop(entries.map(({ staged }) => staged)));
    const { outcomes, leftover } = await this.registrar.register(tx, entries, options);
    tx.afterCommit(() => this.afterCommit(outcomes, leftover));
    return outcomes.map((outcome) => {
      if (outcome.status === 'rejected') throw outcome.reason;
      return outcome.value;
    });
  }

  /** @throws Error when any of it has been registered or dropped before */
  private entries(
    staged: readonly StagedArtifact[],
    holder: Registration['holder'],
    reader: Principal | null,
  ): RegistrationEntry[] {
    const correlationId = RequestContext.requestId();
    const caller = RequestContext.caller();
    return staged.map((artifact) => {
      if (this.settled.has(artifact)) {
        throw new Error(`${artifact.stagedKey} has been registered or dropped already`);
      }
      this.settled.add(artifact);
      return { staged: artifact, holder, reader, correlationId, caller };
    });
  }

  private afterCommit(
    outcomes: readonly PromiseSettledResult<RegisteredArtifact>[],
    leftover: readonly StagedArtifact[],
  ): void {
    this.drop(leftover);
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected' || !outcome.value.deduplicated) continue;
      this.dedupHits.inc();
      this.dedupBytes.inc(outcome.value.sizeBytes);
    }
  }

  /** Drops what registering has left in staging; nobody waits for it. */
  private drop(staged: readonly StagedArtifact[]): void {
    void this.discardObjects(staged.filter((artifact) => !this.registrar.isFinal(artifact)));
  }

  private async discardObjects(staged: readonly StagedArtifact[]): Promise<void> {
    await Promise.all(
      staged.map(async ({ stagedKey }) => {
        try {
          await this.backend.discard(stagedKey);
        } catch (error) {
          // The sweep takes what stays.
          this.logger.warn({ err: error, stagedKey }, 'Staged bytes could not be dropped');
        }
      }),
    );
  }
}
