import { describe, expect, it } from '@jest/globals';
import type { CandidateVersion, VersionCheck } from '../core/contracts/version-check.js';
import type { Tx } from '../core/contracts/unit-of-work.js';
import { Checks } from './checks.js';
import { ChecksFailed } from './versioning.problems.js';

const candidate = {} as CandidateVersion;
const tx = {} as Tx;

/** A check that finds fault with so many paths. */
const finding = (name: string, count: number): VersionCheck => ({
  name,
  check: () =>
    Promise.resolve(
      Array.from({ length: count }, (_, i) => ({ check: name, path: `${i}`, message: 'No.' })),
    ),
});

describe('Checks', () => {
  it('runs all of them, and names what each found, however much that is', async () => {
    const checks = new Checks();
    checks.register(finding('many', 300_000));
    checks.register(finding('one', 1));
    const failure = await checks.require(tx, candidate).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(ChecksFailed);
    expect((failure as ChecksFailed).members).toMatchObject({ violationCount: 300_001 });
  });

  it('passes what none of them finds fault with', async () => {
    const checks = new Checks();
    checks.register(finding('none', 0));
    await expect(checks.require(tx, candidate)).resolves.toBeUndefined();
  });
});
