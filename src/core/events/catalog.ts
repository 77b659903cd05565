import type { JsonObject } from '../json.js';

/**
 * Every event type and the shape of its data. Payloads carry ids and primitives, never entities; a
 * shape changes by addition only. Types are dotted, from the general to the particular.
 */
export interface EventCatalog {
  'dataset.created': { datasetId: number; name: string; createdBy: number };
  'dataset.updated': { datasetId: number; changed: string[] };
  'dataset.deleted': { datasetId: number; deletedAt: string };
  'dataset.restored': { datasetId: number };
  'dataset.version.created': {
    datasetId: number;
    versionId: number;
    versionNumber: number;
    digest: string;
    branch: string;
  };
  'dataset.version.removed': {
    datasetId: number;
    versionId: number;
    versionNumber: number;
    digest: string;
    /** Somebody deleted it, or the dataset's rules let it go. */
    cause: 'deletion' | 'retention';
  };
  'dataset.content.purged': {
    datasetId: number;
    purgeId: number;
    sha256: string;
    /** In how many places of versions and drafts it stood. */
    entries: number;
    purgedBy: number;
    reason: string;
  };
  'dataset.content.purge.lifted': {
    datasetId: number;
    purgeId: number;
    sha256: string;
    liftedBy: number;
    reason: string;
  };
  'dataset.branch.created': { datasetId: number; branch: string; digest: string | null };
  'dataset.branch.updated': {
    datasetId: number;
    branch: string;
    digest: string | null;
    previousDigest: string | null;
    /** What it was called before; the same name where it was not renamed. */
    previousName: string;
    isProtected: boolean;
  };
  'dataset.branch.deleted': { datasetId: number; branch: string; digest: string | null };
  'dataset.tag.created': { datasetId: number; tag: string; digest: string };
  /** It is known now what some of the tables are that a version brought. */
  'dataset.schema.captured': { datasetId: number; versionId: number; tables: number };
  /** A version brought a table whose columns are not those that it had before. */
  'dataset.schema.changed': {
    datasetId: number;
    versionId: number;
    path: string;
    /** Who can go on: everybody, new readers with old data, old readers with new data, or nobody. */
    verdict: 'full' | 'backward' | 'forward' | 'breaking';
    /** Those that came, went or changed their type. */
    columns: string[];
  };
  'sample.created': { datasetId: number; jobId: string };
  'sample.completed': { datasetId: number; jobId: string; fileId: number; sha256: string };
  'sample.failed': { datasetId: number; jobId: string; reason: string };
  'analysis.created': { datasetId: number; jobId: string; kind: string };
  'analysis.completed': {
    datasetId: number;
    jobId: string;
    kind: string;
    fileId: number;
    sha256: string;
  };
  'analysis.failed': { datasetId: number; jobId: string; kind: string; reason: string };
  'dataset.tag.deleted': { datasetId: number; tag: string; digest: string };
  'dataset.merged': {
    datasetId: number;
    from: string;
    into: string;
    digest: string;
    kind: 'fast-forward' | 'merge';
  };
  /** Of what came into a version with an archive, only the version's event tells. */
  'file.uploaded': { fileId: number; sha256: string; sizeBytes: number };
  'file.deduplicated': { fileId: number; sha256: string; sizeBytes: number };
  'file.deleted': { fileId: number; sha256: string; sizeBytes: number };
  /** Nothing could be delivered for a day, or the receiver said that it is gone. */
  'webhook.disabled': { webhookId: number; reason: string };
  /** Somebody has begun to evaluate something; events about one evaluation share their subject. */
  'evaluation.started': { evaluationId: string; retryCount?: number };
  'evaluation.completed': { evaluationId: string; result: JsonObject };
  'evaluation.failed': {
    evaluationId: string;
    error: string;
    /** How often it had been tried again; none where it is left out. */
    retryCount?: number;
    /** Whether somebody must be told at once. */
    critical?: boolean;
  };
  /** Whoever evaluates is to begin again. */
  'evaluation.retry': { evaluationId: string; retryCount: number; error: string };
  'metrics.evaluation.started': { evaluationId: string; active: number };
  /** An evaluation is over: what it needed can go. Its result, where it has one, is stored. */
  'cleanup.evaluation': {
    evaluationId: string;
    outcome: 'completed' | 'failed';
    fileId: number | null;
    sha256: string | null;
  };
  'alert.critical': { about: string; message: string };
  /** Somebody has put a task into a queue; events about one task share their subject. */
  'queue.task.added': { queue: string; taskId: string };
  'queue.task.processed': { queue: string; taskId: string };
  'monitoring.metric.recorded': {
    /** As Prometheus has it: letters, digits and underscores. */
    name: string;
    value: number;
    /** A gauge takes the value, a counter adds it; a gauge where it is left out. */
    kind?: 'gauge' | 'counter';
    /** Texts by name. */
    labels?: JsonObject;
  };
}

export type EventType = keyof EventCatalog;
