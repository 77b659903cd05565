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
}

export type EventType = keyof EventCatalog;
