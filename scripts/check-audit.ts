/**
 * Asks the registry for known weaknesses of what the server is shipped with (`npm audit`) and fails
 * on high and critical ones. A registry that cannot be asked, such as a mirror without that service
 * or none at all, says nothing about this change: that is told, and does not fail the gate.
 */
import { spawnSync } from 'node:child_process';

const SEVERE = ['high', 'critical'] as const;

interface Report {
  readonly metadata?: { readonly vulnerabilities?: Record<string, number> };
  readonly vulnerabilities?: Record<string, { readonly severity: string; readonly range: string }>;
  readonly error?: { readonly summary?: string };
}

const { stdout } = spawnSync('npm', ['audit', '--omit=dev', '--json'], {
  encoding: 'utf8',
  shell: process.platform === 'win32',
  timeout: 120_000,
});
const report = parse(stdout);
const counts = report?.metadata?.vulnerabilities;
if (!counts) {
  const why = report?.error?.summary?.trim() || 'it gives no report';
  console.log(`The registry could not be asked about known weaknesses: ${why}`);
} else {
  const severe = SEVERE.reduce((sum, severity) => sum + (counts[severity] ?? 0), 0);
  for (const [name, { severity, range }] of Object.entries(report.vulnerabilities ?? {})) {
    if (SEVERE.some((one) => one === severity)) console.error(`${severity}: ${name} ${range}`);
  }
  console.log(
    `${severe} high or critical weaknesses are known of what the server is shipped with.`,
  );
  process.exitCode = severe > 0 ? 1 : 0;
}

function parse(text: string): Report | null {
  try {
    return JSON.parse(text) as Report;
  } catch {
    return null;
  }
}
