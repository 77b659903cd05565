import type { JsonObject } from '../json.js';

/** The data of every event type as JSON Schema. Made from the catalogue by `npm run docs`. */
export const EVENT_SCHEMAS: Readonly<Record<string, JsonObject>> = {
  'alert.critical': {
    type: 'object',
    properties: { about: { type: 'string' }, message: { type: 'string' } },
    required: ['about', 'message'],
  },
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
  'cleanup.evaluation': {
    type: 'object',
    properties: {
      evaluationId: { type: 'string' },
      outcome: { type: 'string', enum: ['completed', 'failed'] },
      fileId: { type: ['null', 'number'] },
      sha256: { type: ['null', 'string'] },
    },
    required: ['evaluationId', 'outcome', 'fileId', 'sha256'],
    description:
      'An evaluation is over: what it needed can go. Its result, where it has one, is stored.',
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
  'evaluation.completed': {
    type: 'object',
    properties: {
      evaluationId: { type: 'string' },
      result: { type: 'object', properties: {}, required: [] },
    },
    required: ['evaluationId', 'result'],
  },
  'evaluation.failed': {
    type: 'object',
    properties: {
      evaluationId: { type: 'string' },
      error: { type: 'string' },
      retryCount: {
        type: 'number',
        description: 'How often it had been tried again; none where it is left out.',
      },
      critical: { type: 'boolean', description: 'Whether somebody must be told at once.' },
    },
    required: ['evaluationId', 'error'],
  },
  'evaluation.retry': {
    type: 'object',
    properties: {
      evaluationId: { type: 'string' },
      retryCount: { type: 'number' },
      error: { type: 'string' },
    },
    required: ['evaluationId', 'retryCount', 'error'],
    description: 'Whoever evaluates is to begin again.',
  },
  'evaluation.started': {
    type: 'object',
    properties: { evaluationId: { type: 'string' }, retryCount: { type: 'number' } },
    required: ['evaluationId'],
    description:
      'Somebody has begun to evaluate something; events about one evaluation share their subject.',
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
    description: "Of what came into a version with an archive, only the version's event tells.",
  },
  'metrics.evaluation.started': {
    type: 'object',
    properties: { evaluationId: { type: 'string' }, active: { type: 'number' } },
    required: ['evaluationId', 'active'],
  },
  'monitoring.metric.recorded': {
    type: 'object',
    properties: {
      name: {
        type: 'string',
        description: 'As Prometheus has it: letters, digits and underscores.',
      },
      value: { type: 'number' },
      kind: {
        type: 'string',
        enum: ['gauge', 'counter'],
        description: 'A gauge takes the value, a counter adds it; a gauge where it is left out.',
      },
      labels: { type: 'object', properties: {}, required: [], description: 'Texts by name.' },
    },
    required: ['name', 'value'],
  },
  'queue.task.added': {
    type: 'object',
    properties: { queue: { type: 'string' }, taskId: { type: 'string' } },
    required: ['queue', 'taskId'],
    description: 'Somebody has put a task into a queue; events about one task share their subject.',
  },
  'queue.task.processed': {
    type: 'object',
    properties: { queue: { type: 'string' }, taskId: { type: 'string' } },
    required: ['queue', 'taskId'],
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
