import type { Suite } from '../harness/suite.js';
import { commits } from './commits.js';
import { latency } from './latency.js';
import { liveClients } from './live-clients.js';
import { liveLatency } from './live-latency.js';
import { logPages } from './log-pages.js';
import { fiveSubscriptions, oneSubscription } from './throughput.js';

export const suite: Suite = {
  name: 'events',
  title: 'Events',
  remarks: [
    'The bus is what the server runs, without the rest of it, in the process of the benchmark; PostgreSQL is the embedded one as the server starts it, synced to disk at every commit that is not the bus’s own bookkeeping.',
    'Latency counts from the confirmed commit in the process that published; brokers are not measured. A thousand live clients follow the whole server, in a process of its own with its database; both count as its memory.',
  ],
  measurements: [
    commits,
    latency,
    liveLatency,
    liveClients,
    oneSubscription,
    fiveSubscriptions,
    logPages,
  ],
};
