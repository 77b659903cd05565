import { Problem } from '../../core/problems.js';

/** There is nothing left to cancel. */
export class JobEnded extends Problem {
  static override readonly kind = { code: 'job-ended', status: 409, title: 'Job ended' };

  constructor(state: string) {
    super(`The job has ended already: it is ${state}.`, { state });
  }
}
