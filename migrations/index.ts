import { Access1763600000001 } from './1763600000001-access.js';
import { Storage1763600000002 } from './1763600000002-storage.js';
import { Datasets1763600000003 } from './1763600000003-datasets.js';
import { Versioning1763600000004 } from './1763600000004-versioning.js';
import { Events1763600000005 } from './1763600000005-events.js';
import { Platform1763600000006 } from './1763600000006-platform.js';
import { RemovedVersions1763600000010 } from './1763600000010-removed-versions.js';
import { Purges1763600000011 } from './1763600000011-purges.js';
import { Records1763600000020 } from './1763600000020-records.js';
import { Tables1763600000040 } from './1763600000040-tables.js';
import { EventSubscriptions1763600000050 } from './1763600000050-event-subscriptions.js';
import { Webhooks1763600000051 } from './1763600000051-webhooks.js';
import { Permissions1763600000060 } from './1763600000060-permissions.js';
import { Audit1763600000061 } from './1763600000061-audit.js';
import { Identities1763600000062 } from './1763600000062-identities.js';
import { RateLimits1763600000063 } from './1763600000063-rate-limits.js';
import { Search1763600000070 } from './1763600000070-search.js';
import { Evaluations1763600000085 } from './1763600000085-evaluations.js';
import { Queues1763600000086 } from './1763600000086-queues.js';
import { RecordedMetrics1763600000087 } from './1763600000087-recorded-metrics.js';
import { StorageQuotas1763600000090 } from './1763600000090-storage-quotas.js';
import { JobFailures1763600000095 } from './1763600000095-job-failures.js';
import { ResultSources1763600000096 } from './1763600000096-result-sources.js';
import { LeanerCommits1763600000100 } from './1763600000100-leaner-commits.js';
import { OneSearchIndex1763600000125 } from './1763600000125-one-search-index.js';

/** Every migration, in order. */
export const MIGRATIONS = [
  Access1763600000001,
  Storage1763600000002,
  Datasets1763600000003,
  Versioning1763600000004,
  Events1763600000005,
  Platform1763600000006,
  RemovedVersions1763600000010,
  Purges1763600000011,
  Records1763600000020,
  Tables1763600000040,
  EventSubscriptions1763600000050,
  Webhooks1763600000051,
  Permissions1763600000060,
  Audit1763600000061,
  Identities1763600000062,
  RateLimits1763600000063,
  Search1763600000070,
  Evaluations1763600000085,
  Queues1763600000086,
  RecordedMetrics1763600000087,
  StorageQuotas1763600000090,
  JobFailures1763600000095,
  ResultSources1763600000096,
  LeanerCommits1763600000100,
  OneSearchIndex1763600000125,
];
