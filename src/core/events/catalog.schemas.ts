import type { JsonObject } from '../json.js';

/** The data of every event type as JSON Schema. Made from the catalogue by `npm run docs`. */
export const EVENT_SCHEMAS: Readonly<Record<string, JsonObject>> = {
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
  'webhook.disabled': {
    type: 'object',
    properties: { webhookId: { type: 'number' }, reason: { type: 'string' } },
    required: ['webhookId', 'reason'],
    description: 'Nothing could be delivered for a day, or the receiver said that it is gone.',
  },
};
