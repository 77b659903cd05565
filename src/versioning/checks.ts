import { Injectable } from '@nestjs/common';
import type {
  CandidateVersion,
  VersionCheck,
  VersionChecks,
} from '../core/contracts/version-check.js';
import type { Tx } from '../core/contracts/unit-of-work.js';
import { ChecksFailed } from './versioning.problems.js';

/** The checks that every new version must pass, whoever registered them. */
@Injectable()
export class Checks implements VersionChecks {
  readonly #checks: VersionCheck[] = [];

  register(check: VersionCheck): void {
    this.#checks.push(check);
  }

  /** Runs them all, so that one answer names every violation. @throws ChecksFailed */
  async require(tx: Tx, candidate: CandidateVersion): Promise<void> {
    const violations = [];
    for (const check of this.#checks) violations.push(...(await check.check(tx, candidate)));
    if (violations.length > 0) throw new ChecksFailed(violations);
  }
}
