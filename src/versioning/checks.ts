import { Injectable } from '@nestjs/common';
import type {
  CandidateVersion,
  CheckViolation,
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
    let violations: CheckViolation[] = [];
    for (const check of this.#checks) {
      // Perhaps one for each of very many paths: more than a call takes arguments.
      violations = violations.concat(await check.check(tx, candidate));
    }
    if (violations.length > 0) throw new ChecksFailed(violations);
  }
}
