import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { EVENT_BUS, type DomainEvent, type EventBus } from '../../core/contracts/event-bus.js';
import { JOB_QUEUE, type JobContext, type JobQueue } from '../../core/contracts/job-queue.js';
import { UNIT_OF_WORK, type Tx, type UnitOfWork } from '../../core/contracts/unit-of-work.js';
import {
  VERSION_READER,
  type VersionEntry,
  type VersionReader,
} from '../../core/contracts/versions.js';
import { HandlesEvent } from '../../core/events/handles-event.decorator.js';
import type { DatasetId, VersionId } from '../../core/ids.js';
import type { TableDescription } from '../engine/describe.js';
import { readerOptionsOrNull } from '../reader-options.js';
import { TableReader } from './table-reader.js';
import { diffSchemas } from './schema-diff.js';
import { TableContents, readingOf } from './table-contents.js';

const CAPTURE = 'tables.capture-schemas';
const PAGE = 200;

/** A table that a version brought. */
interface CapturedTable {
  readonly entry: VersionEntry;
  readonly description: TableDescription;
}

/** After each commit finds out what the tables that it brought are, each content once. */
@Injectable()
export class SchemaCapture implements OnModuleInit {
  constructor(
    @Inject(JOB_QUEUE) private readonly jobs: JobQueue,
    @Inject(UNIT_OF_WORK) private readonly unitOfWork: UnitOfWork,
    @Inject(VERSION_READER) private readonly versions: VersionReader,
    @Inject(EVENT_BUS) private readonly events: EventBus,
    private readonly contents: TableContents,
    private readonly reader: TableReader,
  ) {}

  onModuleInit(): void {
    this.jobs.define(CAPTURE, ({ datasetId, versionNumber }, context) =>
      this.capture(datasetId as DatasetId, versionNumber as number, context),
    );
  }

  @HandlesEvent('dataset.version.created', { name: CAPTURE })
  async onVersion({ data }: DomainEvent<'dataset.version.created'>): Promise<void> {
    const { datasetId, versionNumber } = data;
    await this.unitOfWork.run((tx) =>
      this.jobs.enqueue(
        tx,
        CAPTURE,
        { datasetId, versionNumber },
        { key: `version-${datasetId}-${versionNumber}`, isTransient: true },
      ),
    );
  }

  private async capture(
    dataset: DatasetId,
    versionNumber: number,
    context: JobContext,
  ): Promise<{ tables: number }> {
    const version = await this.unitOfWork.read((tx) =>
      this.versions.resolve(tx, dataset, String(versionNumber)),
    );
    let tables = 0;
    let after: string | null = null;
    for (;;) {
      const from: string | null = after;
      const page: { path: string; entry: VersionEntry | null }[] = await this.unitOfWork.read(
        (tx) => this.versions.overlay(tx, version.id, { after: from, limit: PAGE }),
      );
      const captured = await this.captureAll(
        page.flatMap(({ entry }) => entry ?? []),
        context.signal,
      );
      await this.unitOfWork.run((tx) => this.record(tx, dataset, version.id, captured));
      tables += captured.length;
      after = page.at(-1)?.path ?? null;
      await context.progress(50, `${tables} tables`);
      if (page.length < PAGE) return { tables };
    }
  }

  private async captureAll(
    entries: readonly VersionEntry[],
    signal: AbortSignal,
  ): Promise<CapturedTable[]> {
    // What was purged is told of as it was, and cannot be read.
    const present = entries.filter(({ purged }) => !purged);
    const readable = present.flatMap((entry) => {
      const options = readerOptionsOrNull(entry.metadata);
      return options ? [{ entry, options }] : [];
    });
    const known = await this.unitOfWork.read((tx) =>
      this.contents.findAll(
        tx,
        readable.map(({ entry, options }) => readingOf(entry, options)),
      ),
    );
    const unknown = readable.filter((_, at) => !known[at]);
    const found = await this.reader.captureAll(unknown, signal);
    const captured = new Map(unknown.map((file, at) => [file, found[at]]));
    return readable.flatMap((file, at) => {
      const description = (known[at] ?? captured.get(file))?.description;
      return description ? [{ entry: file.entry, description }] : [];
    });
  }

  /** Keeps a version's schemas, and tells of those that are not as they were. Once, however often. */
  private async record(
    tx: Tx,
    dataset: DatasetId,
    version: VersionId,
    captured: readonly CapturedTable[],
  ): Promise<void> {
    if (captured.length === 0) return;
    // Whoever purges locks the dataset: it has been done, and is seen here, or finds what is kept here.
    await tx.query('SELECT 1 FROM datasets WHERE id = $1 FOR KEY SHARE', [dataset]);
    const inserted = await tx.query<{ path: string }>(
      `INSERT INTO dataset_schema_versions (dataset_version_id, component_name, schema_json)
       SELECT e.version_id, path, schema
       FROM unnest($2::text[], $3::json[], $4::integer[]) AS new (path, schema, file_id)
       JOIN dataset_version_files e
         ON e.version_id = $1 AND e.component_name = path AND e.file_id = new.file_id
       ON CONFLICT DO NOTHING RETURNING component_name AS path`,
      [
        version,
        captured.map(({ entry }) => entry.path),
        captured.map(({ description }) => JSON.stringify(description)),
        captured.map(({ entry }) => entry.fileId),
      ],
    );
    const fresh = new Set(inserted.map(({ path }) => path));
    if (fresh.size === 0) return;
    await this.events.publish(tx, 'dataset.schema.captured', `dataset/${dataset}`, {
      datasetId: dataset,
      versionId: version,
      tables: fresh.size,
    });
    const before = await this.previous(tx, version, [...fresh]);
    const changes = captured.flatMap(({ entry, description }) => {
      const previous = before.get(entry.path);
      if (!fresh.has(entry.path) || !previous) return [];
      const diff = diffSchemas(previous.columns, description.columns);
      const columns = [...diff.added, ...diff.removed, ...diff.retyped].map(({ name }) => name);
      return columns.length > 0 ? [{ path: entry.path, verdict: diff.verdict, columns }] : [];
    });
    await this.events.publishAll(
      tx,
      changes.map(({ path, verdict, columns }) => ({
        type: 'dataset.schema.changed' as const,
        subject: `dataset/${dataset}`,
        data: {
          datasetId: dataset,
          versionId: version,
          path,
          verdict,
          columns: [...new Set(columns)].slice(0, 100),
        },
      })),
    );
  }

  /** The schemas that paths had in the nearest version before, along first parents. */
  private async previous(
    tx: Tx,
    version: VersionId,
    paths: readonly string[],
  ): Promise<Map<string, TableDescription>> {
    const rows = await tx.query<{ path: string; schema: TableDescription }>(
      `WITH RECURSIVE line (id, depth) AS (
         SELECT parent_version_id, 1 FROM dataset_versions WHERE id = $1
         UNION ALL
         SELECT v.parent_version_id, depth + 1 FROM line JOIN dataset_versions v ON v.id = line.id
         WHERE depth < 1000
       )
       SELECT DISTINCT ON (s.component_name) s.component_name AS path, s.schema_json AS schema
       FROM dataset_schema_versions s JOIN line ON line.id = s.dataset_version_id
       WHERE s.component_name = ANY ($2::text[])
       ORDER BY s.component_name, line.depth`,
      [version, paths],
    );
    return new Map(rows.map(({ path, schema }) => [path, schema]));
  }
}
