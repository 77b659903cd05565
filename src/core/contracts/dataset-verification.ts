import type { DatasetId, JobId, UserId } from '../ids.js';
import { token } from '../token.js';

/** Proving a dataset's history against its digests, for whoever verifies a whole server. */
export interface DatasetVerification {
  /**
   * Enqueues the proof as a job, whose result names the first version that was tampered with.
   * @throws NotFound
   */
  start(createdBy: UserId, dataset: DatasetId): Promise<JobId>;
}

export const DATASET_VERIFICATION = token<DatasetVerification>('DATASET_VERIFICATION');
