import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import type { PreparedSql, Reader, Tx } from '../core/contracts/unit-of-work.js';
import {
  VERSION_CHECK,
  type CandidateVersion,
  type CheckViolation,
  type VersionCheck,
  type VersionChecks,
} from '../core/contracts/version-check.js';
import type { VersionEntry } from '../core/contracts/versions.js';
import type { DatasetId } from '../core/ids.js';
import { pathPattern } from '../core/path-pattern.js';

/** What a dataset demands of its versions; null and empty lists demand nothing. */
export interface CheckRules {
  readonly maximumFileBytes: number | null;
  readonly maximumTotalBytes: number | null;
  readonly allowedFileTypes: readonly string[];
  readonly requiredPaths: readonly string[];
  readonly allowedPathPatterns: readonly string[];
}

export const NO_RULES: CheckRules = {
  maximumFileBytes: null,
  maximumTotalBytes: null,
  allowedFileTypes: [],
  requiredPaths: [],
  allowedPathPatterns: [],
};

const RULES: PreparedSql = {
  name: 'dataset-rules',
  text: 'SELECT rules FROM dataset_checks WHERE dataset_id = $1',
};

/** The rules that a dataset's administrators set for its versions. */
@Injectable()
export class DatasetChecks implements VersionCheck, OnModuleInit {
  readonly name = 'dataset rules';

  constructor(@Inject(VERSION_CHECK) private readonly checks: VersionChecks) {}

  onModuleInit(): void {
    this.checks.register(this);
  }

  async rules(tx: Reader, dataset: DatasetId): Promise<CheckRules> {
    const [row] = await tx.query<{ rules: CheckRules }>(RULES, [dataset]);
    return { ...NO_RULES, ...row?.rules };
  }

  async setRules(tx: Tx, dataset: DatasetId, rules: CheckRules): Promise<void> {
    await tx.query(
      `INSERT INTO dataset_checks (dataset_id, rules) VALUES ($1, $2)
       ON CONFLICT (dataset_id) DO UPDATE SET rules = excluded.rules`,
      [dataset, JSON.stringify(rules)],
    );
  }

  async check(tx: Tx, candidate: CandidateVersion): Promise<CheckViolation[]> {
    const rules = await this.rules(tx, candidate.datasetId);
    const violations: CheckViolation[] = [];
    const { maximumTotalBytes } = rules;
    if (maximumTotalBytes !== null && candidate.totalSizeBytes > maximumTotalBytes) {
      violations.push({
        check: 'maximum-total-size',
        path: null,
        message: `The version would have ${candidate.totalSizeBytes} bytes; ${maximumTotalBytes} are allowed.`,
      });
    }
    if (rules.requiredPaths.length > 0) {
      const present = await candidate.has(rules.requiredPaths);
      for (const path of rules.requiredPaths) {
        if (present.has(path)) continue;
        const message = `${JSON.stringify(path)} must be there.`;
        violations.push({ check: 'required-path', path, message });
      }
    }
    if (looksAtFiles(rules)) {
      const patterns = rules.allowedPathPatterns.map(pathPattern);
      for await (const { entry } of candidate.changes()) {
        if (entry) violations.push(...violationsOf(entry, rules, patterns));
      }
    }
    return violations;
  }
}

function looksAtFiles(rules: CheckRules): boolean {
  return (
    rules.maximumFileBytes !== null ||
    rules.allowedFileTypes.length > 0 ||
    rules.allowedPathPatterns.length > 0
  );
}

function* violationsOf(
  { path, sizeBytes, fileType }: VersionEntry,
  { maximumFileBytes, allowedFileTypes }: CheckRules,
  patterns: readonly ((path: string) => boolean)[],
): Generator<CheckViolation> {
  if (maximumFileBytes !== null && sizeBytes > maximumFileBytes) {
    const message = `It has ${sizeBytes} bytes; ${maximumFileBytes} are allowed.`;
    yield { check: 'maximum-size', path, message };
  }
  if (allowedFileTypes.length > 0 && !allowedFileTypes.includes(fileType ?? 'unknown')) {
    const message = `It is of type ${fileType ?? 'unknown'}; ${allowedFileTypes.join(', ')} are allowed.`;
    yield { check: 'file-type', path, message };
  }
  if (patterns.length > 0 && !patterns.some((fits) => fits(path))) {
    yield { check: 'path-pattern', path, message: 'No pattern of the dataset allows this path.' };
  }
}
