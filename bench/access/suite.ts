import type { Suite } from '../harness/suite.js';
import { guardedWrites } from './guarded-writes.js';

export const suite: Suite = {
  name: 'access',
  title: 'Who may do what, and who did it',
  remarks: [
    'Both sides are the built server with its embedded PostgreSQL at default settings (`LOG_LEVEL=warn`), each in a process of its own. On the one, a member writes with an API key to a dataset that a group of its may write to; on the other, the harness has taken out the guard (with the rate limit), the policy and the audit’s triggers.',
    'The load generator is this process, over connections that stay open.',
  ],
  measurements: [guardedWrites],
};
