import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import type { PreparedSql, Reader, Tx } from '../../core/contracts/unit-of-work.js';
import {
  VERSION_CHECK,
  type CandidateVersion,
  type CheckViolation,
  type VersionCheck,
  type VersionChecks,
} from '../../core/contracts/version-check.js';
import {
  VERSION_READER,
  type VersionEntry,
  type VersionReader,
} from '../../core/contracts/versions.js';
import type { DatasetId } from '../../core/ids.js';
import { pathPattern } from '../../core/path-pattern.js';
import { readerOptionsOf } from '../reader-options.js';
import { diffSchemas, satisfies, type SchemaDiff } from './schema-diff.js';
import { TableReader } from './table-reader.js';
import type { KnownContent } from './table-contents.js';

export const LEVELS = ['full', 'backward', 'forward'] as const;

/** How the schemas of tables may change, at the paths that a pattern fits. */
export interface SchemaRule {
  readonly pattern: string;
  readonly level: (typeof LEVELS)[number];
}

const RULES: PreparedSql = {
  name: 'schema-rules',
  text: 'SELECT schema_rules AS rules FROM dataset_checks WHERE dataset_id = $1',
};

/**
 * Holds new versions to the compatibility that their dataset demands. New contents are looked at within
 * the transaction that makes the version: only a glance at their beginning, and only where there is a
 * rule for their path.
 */
@Injectable()
export class SchemaRules implements VersionCheck, OnModuleInit {
  readonly name = 'schema compatibility';

  constructor(
    @Inject(VERSION_CHECK) private readonly checks: VersionChecks,
    @Inject(VERSION_READER) private readonly versions: VersionReader,
    private readonly reader: TableReader,
  ) {}

  onModuleInit(): void {
    this.checks.register(this);
  }

  async rules(tx: Reader, dataset: DatasetId): Promise<SchemaRule[]> {
    const [row] = await tx.query<{ rules: SchemaRule[] }>(RULES, [dataset]);
    return row?.rules ?? [];
  }

  async setRules(tx: Tx, dataset: DatasetId, rules: readonly SchemaRule[]): Promise<void> {
    await tx.query(
      `INSERT INTO dataset_checks (dataset_id, rules, schema_rules) VALUES ($1, '{}', $2)
       ON CONFLICT (dataset_id) DO UPDATE SET schema_rules = excluded.schema_rules`,
      [dataset, JSON.stringify(rules)],
    );
  }

  async check(tx: Tx, candidate: CandidateVersion): Promise<CheckViolation[]> {
    const { parentId, datasetId } = candidate;
    const rules = parentId === null ? [] : await this.rules(tx, datasetId);
    if (parentId === null || rules.length === 0) return [];
    const compiled = rules.map((rule) => ({ ...rule, fits: pathPattern(rule.pattern) }));
    const violations: CheckViolation[] = [];
    for await (const { path, entry } of candidate.changes()) {
      const rule = compiled.find(({ fits }) => fits(path));
      if (!rule) continue;
      const before = await this.versions.entry(tx, parentId, path);
      if (!before || before.fileId === entry?.fileId) continue;
      const message = await this.complaint(before, entry, rule);
      if (message) violations.push({ check: 'schema-compatibility', path, message });
    }
    return violations;
  }

  private async complaint(
    before: VersionEntry,
    after: VersionEntry | null,
    { level }: SchemaRule,
  ): Promise<string | null> {
    const was = await this.look(before);
    if (!was.description) return null;
    if (!after) return `The table would be gone; the dataset demands ${level} compatibility here.`;
    const will = await this.look(after);
    if (!will.description) return 'There would be no readable table any more.';
    const diff = diffSchemas(was.description.columns, will.description.columns);
    if (satisfies(diff.verdict, level)) return null;
    return `The change is ${diff.verdict}, where the dataset demands ${level} compatibility: ${inWords(diff)}.`;
  }

  private look(entry: VersionEntry): Promise<KnownContent> {
    return this.reader.look({ entry, options: readerOptionsOf(entry.metadata) });
  }
}

const MOST = 10;

function inWords({ removed, retyped }: SchemaDiff): string {
  const parts = [
    ...removed.map(({ name }) => `${JSON.stringify(name)} is gone`),
    ...retyped.map(({ name, from, to }) => `${JSON.stringify(name)} was ${from} and is ${to}`),
  ];
  return parts.slice(0, MOST).join(', ') + (parts.length > MOST ? ' …' : '');
}
