import type { Finding } from './findings.js';
import type { VerificationReport } from './verifier.js';

const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/** A report in plain text, for somebody at a terminal. */
export function describeReport(report: VerificationReport): string {
  const { findings, findingCounts, filesChecked, bytesHashed, recovered, orphans } = report;
  const lines = findings.map(describeFinding);
  const total = Object.values(findingCounts).reduce((sum, count) => sum + count, 0);
  if (total > findings.length) lines.push(`… and ${total - findings.length} more.`);
  lines.push(`Checked ${filesChecked} files and hashed ${formatBytes(bytesHashed)}.`);
  if (recovered > 0) lines.push(`${recovered} files were marked as damaged and are whole.`);
  if (orphans.objects > 0) {
    lines.push(
      `${orphans.objects} objects (${formatBytes(orphans.sizeBytes)}) belong to no file; garbage ` +
        'collection takes them once their time has come.',
    );
  }
  const kinds = Object.entries(findingCounts).map(([kind, count]) => `${count} ${kind}`);
  lines.push(report.ok ? 'Nothing is wrong.' : `Found ${total} faults: ${kinds.join(', ')}.`);
  return lines.join('\n');
}

function describeFinding(finding: Finding): string {
  const { kind, expected, actual } = finding;
  const where =
    finding.kind === 'storage-charge'
      ? `${finding.holderType} ${finding.holderId}`
      : `file ${finding.fileId} at ${finding.path}`;
  return `${kind}: ${where}: expected ${expected}, found ${actual}`;
}

function formatBytes(sizeBytes: number): string {
  const power = sizeBytes < 1 ? 0 : Math.min(Math.floor(Math.log2(sizeBytes) / 10), 5);
  return `${Number((sizeBytes / 1024 ** power).toFixed(1))} ${UNITS[power]}`;
}
