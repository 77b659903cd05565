import type { LossKind } from './losses.js';
import type { RebuildReport } from './rebuild.js';

const HEADINGS: Record<LossKind, string> = {
  record: 'Records that cannot be read',
  document: 'Overlay documents that are lost, and with them their datasets',
  content: 'Contents that are lost',
  'damaged-object': 'Objects that were left out',
  name: 'Names and roles that are not as they were',
};

/** What no storage ever holds: said each time, so that nobody misses it later. */
const NEVER = [
  'API keys; make new ones for those who need them',
  'drafts and uploads that no version had used yet (their contents are kept for GC_GRACE)',
  'grants on single files, jobs, webhooks, the audit trail and the log of events',
  'what happened within the last RECORDS_INTERVAL before the database was lost',
];

/** A rebuild's report for a terminal. */
export function describeRebuild(report: RebuildReport): string {
  const { objects, users, groups, datasets, versions } = report;
  const lines = [
    `Brought back ${versions} versions of ${datasets} datasets, ${users} users and ${groups} groups; ${objects} contents lie in the storage.`,
  ];
  for (const [kind, heading] of Object.entries(HEADINGS)) {
    const count = report.lossCounts[kind as LossKind] ?? 0;
    if (count === 0) continue;
    const named = report.losses.filter((loss) => loss.kind === kind);
    lines.push('', `${heading}: ${count}`, ...named.map(({ text }) => `  ${text}`));
    if (count > named.length) lines.push(`  and ${count - named.length} more`);
  }
  lines.push(
    '',
    'Not in any storage, and so not brought back:',
    ...NEVER.map((text) => `  ${text}`),
  );
  if (!report.finished) {
    lines.push(
      '',
      'The storage lacks something, so the database is not served yet. Put back what is named above',
      'and run this again, or give it up with --accept-losses.',
    );
  }
  return lines.join('\n');
}

/** Whether all is as it was, as far as a storage can tell. */
export function isWhole({ lossCounts }: RebuildReport): boolean {
  return Object.keys(lossCounts).length === 0;
}
