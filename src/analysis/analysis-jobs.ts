import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { Readable } from 'node:stream';
import { ACCESS_POLICY, type AccessPolicy } from '../core/contracts/access-policy.js';
import { ARTIFACT_PRODUCER, type ArtifactProducer } from '../core/contracts/artifact-producer.js';
import { EVENT_BUS, type EventBus } from '../core/contracts/event-bus.js';
import {
  FailedForGood,
  JOB_QUEUE,
  type JobContext,
  type JobQueue,
} from '../core/contracts/job-queue.js';
import { TABLE_ENGINE, type TableEngine, type TableWork } from '../core/contracts/tables.js';
import { UNIT_OF_WORK, type UnitOfWork } from '../core/contracts/unit-of-work.js';
import { VERSION_READER, type VersionReader } from '../core/contracts/versions.js';
import type { DatasetId, JobId } from '../core/ids.js';
import type { JsonObject } from '../core/json.js';
import type { Principal } from '../core/principal.js';
import { Problem } from '../core/problems.js';
import type { AnalysisOrder, SampleOrder } from './orders.js';
import { ResultCommits, type Result } from './result-commits.js';

const SAMPLE = 'analysis.sample';
const ANALYSIS = 'analysis.analysis';

/** A job's order, and on whose behalf it is done. The version is settled when it is asked for. */
interface Payload<Order> {
  readonly datasetId: DatasetId;
  readonly versionNumber: number;
  readonly baseNumber: number | null;
  readonly principal: Principal;
  readonly order: Order;
}

const MEDIA_TYPES = {
  parquet: 'application/vnd.apache.parquet',
  csv: 'text/csv',
  json: 'application/json',
} as const;

/** Jobs that make files of tables: samples and analyses. */
@Injectable()
export class AnalysisJobs implements OnModuleInit {
  constructor(
    @Inject(JOB_QUEUE) private readonly jobs: JobQueue,
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
    @Inject(VERSION_READER) private readonly versions: VersionReader,
    @Inject(ACCESS_POLICY) private readonly access: AccessPolicy,
    @Inject(ARTIFACT_PRODUCER) private readonly artifacts: ArtifactProducer,
    @Inject(TABLE_ENGINE) private readonly engine: TableEngine,
    @Inject(EVENT_BUS) private readonly events: EventBus,
    private readonly commits: ResultCommits,
  ) {}

  onModuleInit(): void {
    this.jobs.define(
      SAMPLE,
      (payload, context) => this.sample(payload as unknown as Payload<SampleOrder>, context),
      (tx, { payload, ...failed }) => {
        const { datasetId } = payload as unknown as Payload<SampleOrder>;
        const subject = `dataset/${datasetId}`;
        return this.events.publish(tx, 'sample.failed', subject, { datasetId, ...failed });
      },
    );
    this.jobs.define(
      ANALYSIS,
      (payload, context) => this.analyse(payload as unknown as Payload<AnalysisOrder>, context),
      (tx, { payload, ...failed }) => {
        const { datasetId, order } = payload as unknown as Payload<AnalysisOrder>;
        const { kind } = order;
        const subject = `dataset/${datasetId}`;
        return this.events.publish(tx, 'analysis.failed', subject, { datasetId, kind, ...failed });
      },
    );
  }

  /** Has a sample made. @throws NotFound, Forbidden where it may not be committed */
  async startSample(
    principal: Principal,
    datasetId: DatasetId,
    order: SampleOrder,
  ): Promise<JobId> {
    return this.unitOfWork.run(async (tx) => {
      await this.commits.requireAllowed(tx, principal, datasetId, order.commit);
      const { versionNumber } = await this.versions.resolve(tx, datasetId, order.ref);
      const payload = { datasetId, versionNumber, baseNumber: null, principal, order };
      const jobId = await this.jobs.enqueue(tx, SAMPLE, asJson(payload), {
        createdBy: principal.userId,
      });
      await this.events.publish(tx, 'sample.created', `dataset/${datasetId}`, { datasetId, jobId });
      return jobId;
    });
  }

  /** Has an analysis made. @throws NotFound, Forbidden where it may not be committed */
  async startAnalysis(
    principal: Principal,
    datasetId: DatasetId,
    order: AnalysisOrder,
  ): Promise<JobId> {
    return this.unitOfWork.run(async (tx) => {
      await this.commits.requireAllowed(tx, principal, datasetId, order.commit);
      const { versionNumber } = await this.versions.resolve(tx, datasetId, order.ref);
      const base =
        order.kind === 'diff' ? await this.versions.resolve(tx, datasetId, order.base) : null;
      const payload = {
        datasetId,
        versionNumber,
        baseNumber: base?.versionNumber ?? null,
        principal,
        order,
      };
      const jobId = await this.jobs.enqueue(tx, ANALYSIS, asJson(payload), {
        createdBy: principal.userId,
      });
      const { kind } = order;
      await this.events.publish(tx, 'analysis.created', `dataset/${datasetId}`, {
        datasetId,
        jobId,
        kind,
      });
      return jobId;
    });
  }

  private async sample(
    { datasetId, versionNumber, principal, order }: Payload<SampleOrder>,
    context: JobContext,
  ): Promise<JsonObject> {
    const { jobId, signal } = context;
    const subject = `dataset/${datasetId}`;
    try {
      await this.requireRead(principal, datasetId);
      await context.progress(5, 'Reading the table');
      const ref = String(versionNumber);
      const tables = order.paths.map((path) => ({ datasetId, ref, path, sheet: order.sheet }));
      const origin = { sample: { datasetId, versionNumber, paths: order.paths, ...order.method } };
      const work: TableWork = { kind: 'sample', tables, method: order.method };
      const staged = await this.table(work, order.format, asJson(origin), signal);
      const kept = await this.commits.keep(principal, datasetId, staged, order.commit, (tx, file) =>
        this.events.publish(tx, 'sample.completed', subject, { datasetId, jobId, ...file }),
      );
      return { ...kept, ...asJson({ method: order.method }) };
    } catch (error) {
      throw isSettled(error) ? new FailedForGood(error) : error;
    }
  }

  private async analyse(payload: Payload<AnalysisOrder>, context: JobContext): Promise<JsonObject> {
    const { datasetId, principal, order } = payload;
    const { kind } = order;
    const { jobId, signal } = context;
    const subject = `dataset/${datasetId}`;
    try {
      await this.requireRead(principal, datasetId);
      await context.progress(5, 'Reading the table');
      const staged = await this.analysis(payload, signal);
      return await this.commits.keep(principal, datasetId, staged, order.commit, (tx, file) =>
        this.events.publish(tx, 'analysis.completed', subject, { datasetId, jobId, kind, ...file }),
      );
    } catch (error) {
      throw isSettled(error) ? new FailedForGood(error) : error;
    }
  }

  private async analysis(
    { datasetId, versionNumber, baseNumber, order }: Payload<AnalysisOrder>,
    signal: AbortSignal,
  ): Promise<Result> {
    const ref = String(versionNumber);
    const origin = asJson({ analysis: { datasetId, versionNumber, baseNumber, kind: order.kind } });
    if (order.kind === 'select') {
      const work: TableWork = { kind: 'select', datasetId, ref, sql: order.sql };
      return this.table(work, order.format, origin, signal);
    }
    const table = { datasetId, ref, path: order.path, sheet: order.sheet };
    if (order.kind === 'diff') {
      const base = { ...table, ref: String(baseNumber) };
      const work: TableWork = { kind: 'diff', base, head: table, key: order.key };
      return this.table(work, order.format, origin, signal);
    }
    const { report, sources } = await this.engine.report(order.kind, table, signal);
    const staged = await this.artifacts.stage({
      stream: Readable.from([Buffer.from(JSON.stringify(report))]),
      fileType: 'json',
      mimeType: MEDIA_TYPES.json,
      metadata: origin,
    });
    return { staged, sources };
  }

  private table(
    work: TableWork,
    format: 'parquet' | 'csv',
    metadata: JsonObject,
    signal: AbortSignal,
  ): Promise<Result> {
    return this.engine.produce(work, format, signal, async (stream, whole, sources) => {
      const staged = await this.artifacts.stage({
        stream,
        fileType: format,
        mimeType: MEDIA_TYPES[format],
        metadata,
      });
      try {
        await whole;
      } catch (error) {
        await this.artifacts.discard([staged]);
        throw error;
      }
      return { staged, sources };
    });
  }

  /** Whoever asked may have lost the right to it since. */
  private requireRead(principal: Principal, dataset: DatasetId): Promise<void> {
    return this.unitOfWork.read((tx) => this.access.requireDataset(tx, principal, dataset, 'read'));
  }
}

/** What the order itself, or the file, is to blame for: they will be the same another time. */
const SETTLED: ReadonlySet<number> = new Set([400, 403, 404, 410, 422]);

function isSettled(error: unknown): error is Problem {
  return error instanceof Problem && SETTLED.has(error.kind.status);
}

const asJson = (value: object): JsonObject => JSON.parse(JSON.stringify(value)) as JsonObject;
