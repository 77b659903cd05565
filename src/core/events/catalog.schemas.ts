import type { JsonObject } from '../json.js';

/** The data of every event type as JSON Schema. Made from the catalogue by `npm run docs`. */
export const EVENT_SCHEMAS: Readonly<Record<string, JsonObject>> = {
  'analysis.completed': {
    type: 'object',
    properties: {
      datasetId: { type: 'number' },
      jobId: { type: 'string' },
      kind: { type: 'string' },
      fileId: { type: 'number' },
      sha256: { type: 'string' },
    },
    required: ['datasetId', 'jobId', 'kind', 'fileId', 'sha256'],
  },
  'analysis.created': {
    type: 'object',
    properties: {
      datasetId: { type: 'number' },
      jobId: { type: 'string' },
      kind: { type: 'string' },
    },
    required: ['datasetId', 'jobId', 'kind'],
  },
  'analysis.failed': {
    type: 'object',
    properties: {
      datasetId: { type: 'number' },
      jobId: { type: 'string' },
      kind: { type: 'string' },
      reason: { type: 'string' },
    },
    required: ['datasetId', 'jobId', 'kind', 'reason'],
  },
  'dataset.branch.created': {
    type: 'object',
    properties: {
      datasetId: { type: 'number' },
      branch: { type: 'string' },
      digest: { type: ['null', 'string'] },
    },
    required: ['datasetId', 'branch', 'digest'],
  },
  'dataset.branch.deleted': {
    type: 'object',
    properties: {
      datasetId: { type: 'number' },
      branch: { type: 'string' },
      digest: { type: ['null', 'string'] },
    },
    required: ['datasetId', 'branch', 'digest'],
  },
  'dataset.branch.updated': {
    type: 'object',
    properties: {
      datasetId: { type: 'number' },
      branch: { type: 'string' },
      digest: { type: ['null', 'string'] },
      previousDigest: { type: ['null', 'string'] },
      previousName: {
        type: 'string',
        description: 'What it was called before; the same name where it was not renamed.',
      },
      isProtected: { type: 'boolean' },
    },
    required: ['datasetId', 'branch', 'digest', 'previousDigest', 'previousName', 'isProtected'],
  },
  'dataset.content.purge.lifted': {
    type: 'object',
    properties: {
      datasetId: { type: 'number' },
      purgeId: { type: 'number' },
      sha256: { type: 'string' },
      liftedBy: { type: 'number' },
      reason: { type: 'string' },
    },
    required: ['datasetId', 'purgeId', 'sha256', 'liftedBy', 'reason'],
  },
  'dataset.content.purged': {
    type: 'object',
    properties: {
      datasetId: { type: 'number' },
      purgeId: { type: 'number' },
      sha256: { type: 'string' },
      entries: {
        type: 'number',
        description: 'In how many places of versions and drafts it stood.',
      },
      purgedBy: { type: 'number' },
      reason: { type: 'string' },
    },
    required: ['datasetId', 'purgeId', 'sha256', 'entries', 'purgedBy', 'reason'],
  },
  'dataset.created': {
    type: 'object',
    properties: {
      datasetId: { type: 'number' },
      name: { type: 'string' },
      createdBy: { type: 'number' },
    },
    required: ['datasetId', 'name', 'createdBy'],
  },
  'dataset.deleted': {
    type: 'object',
    properties: { datasetId: { type: 'number' }, deletedAt: { type: 'string' } },
    required: ['datasetId', 'deletedAt'],
  },
  'dataset.merged': {
    type: 'object',
    properties: {
      datasetId: { type: 'number' },
      from: { type: 'string' },
      into: { type: 'string' },
      digest: { type: 'string' },
      kind: { type: 'string', enum: ['fast-forward', 'merge'] },
    },
    required: ['datasetId', 'from', 'into', 'digest', 'kind'],
  },
  'dataset.restored': {
    type: 'object',
    properties: { datasetId: { type: 'number' } },
    required: ['datasetId'],
  },
  'dataset.schema.captured': {
    type: 'object',
    properties: {
      datasetId: { type: 'number' },
      versionId: { type: 'number' },
      tables: { type: 'number' },
    },
    required: ['datasetId', 'versionId', 'tables'],
    description: 'It is known now what some of the tables are that a version brought.',
  },
  'dataset.schema.changed': {
    type: 'object',
    properties: {
      datasetId: { type: 'number' },
      versionId: { type: 'number' },
      path: { type: 'string' },
      verdict: {
        type: 'string',
        enum: ['full', 'backward', 'forward', 'breaking'],
        description:
          'Who can go on: everybody, new readers with old data, old readers with new data, or nobody.',
      },
      columns: {
        type: 'array',
        items: { type: 'string' },
        description: 'Those that came, went or changed their type.',
      },
    },
    required: ['datasetId', 'versionId', 'path', 'verdict', 'columns'],
    description: 'A version brought a table whose columns are not those that it had before.',
  },
  'dataset.tag.created': {
    type: 'object',
    properties: {
      datasetId: { type: 'number' },
      tag: { type: 'string' },
      digest: { type: 'string' },
    },
    required: ['datasetId', 'tag', 'digest'],
  },
  'dataset.tag.deleted': {
    type: 'object',
    properties: {
      datasetId: { type: 'number' },
      tag: { type: 'string' },
      digest: { type: 'string' },
    },
    required: ['datasetId', 'tag', 'digest'],
  },
  'dataset.updated': {
    type: 'object',
    properties: {
      datasetId: { type: 'number' },
      changed: { type: 'array', items: { type: 'string' } },
    },
    required: ['datasetId', 'changed'],
  },
  'dataset.version.created': {
    type: 'object',
    properties: {
      datasetId: { type: 'number' },
      versionId: { type: 'number' },
      versionNumber: { type: 'number' },
      digest: { type: 'string' },
      branch: { type: 'string' },
    },
    required: ['datasetId', 'versionId', 'versionNumber', 'digest', 'branch'],
  },
  'dataset.version.removed': {
    type: 'object',
    properties: {
      datasetId: { type: 'number' },
      versionId: { type: 'number' },
      versionNumber: { type: 'number' },
      digest: { type: 'string' },
      cause: {
        type: 'string',
        enum: ['deletion', 'retention'],
        description: "Somebody deleted it, or the dataset's rules let it go.",
      },
    },
    required: ['datasetId', 'versionId', 'versionNumber', 'digest', 'cause'],
  },
  'file.deduplicated': {
    type: 'object',
    properties: {
      fileId: { type: 'number' },
      sha256: { type: 'string' },
      sizeBytes: { type: 'number' },
    },
    required: ['fileId', 'sha256', 'sizeBytes'],
  },
  'file.deleted': {
    type: 'object',
    properties: {
      fileId: { type: 'number' },
      sha256: { type: 'string' },
      sizeBytes: { type: 'number' },
    },
    required: ['fileId', 'sha256', 'sizeBytes'],
  },
  'file.uploaded': {
    type: 'object',
    properties: {
      fileId: { type: 'number' },
      sha256: { type: 'string' },
      sizeBytes: { type: 'number' },
    },
    required: ['fileId', 'sha256', 'sizeBytes'],
  },
  'sample.completed': {
    type: 'object',
    properties: {
      datasetId: { type: 'number' },
      jobId: { type: 'string' },
      fileId: { type: 'number' },
      sha256: { type: 'string' },
    },
    required: ['datasetId', 'jobId', 'fileId', 'sha256'],
  },
  'sample.created': {
    type: 'object',
    properties: { datasetId: { type: 'number' }, jobId: { type: 'string' } },
    required: ['datasetId', 'jobId'],
  },
  'sample.failed': {
    type: 'object',
    properties: {
      datasetId: { type: 'number' },
      jobId: { type: 'string' },
      reason: { type: 'string' },
    },
    required: ['datasetId', 'jobId', 'reason'],
  },
  'webhook.disabled': {
    type: 'object',
    properties: { webhookId: { type: 'number' }, reason: { type: 'string' } },
    required: ['webhookId', 'reason'],
    description: 'Nothing could be delivered for a day, or the receiver said that it is gone.',
  },
};
