import { describe, expect, it } from '@jest/globals';
import type { Finding } from './findings.js';
import { describeReport } from './report-text.js';
import type { VerificationReport } from './verifier.js';

const WHOLE: VerificationReport = {
  ok: true,
  filesChecked: 12,
  bytesHashed: 0,
  recovered: 0,
  findingCounts: {},
  findings: [],
  orphans: { objects: 0, sizeBytes: 0, examples: [] },
};

describe('describeReport', () => {
  it('is short when nothing is wrong', () => {
    expect(describeReport(WHOLE)).toBe('Checked 12 files and hashed 0 bytes.\nNothing is wrong.');
  });

  it('names each finding, how many there are beyond, and what else there is to know', () => {
    const finding: Finding = {
      kind: 'size',
      fileId: 7,
      sha256: 'ab',
      path: 'artifacts/ab',
      expected: '10',
      actual: '9',
    };
    expect(
      describeReport({
        ...WHOLE,
        ok: false,
        bytesHashed: 1536,
        recovered: 2,
        findings: [finding],
        findingCounts: { size: 3, missing: 1 },
        orphans: { objects: 5, sizeBytes: 3 * 1024 ** 3, examples: [] },
      }).split('\n'),
    ).toEqual([
      'size: file 7 at artifacts/ab: expected 10, found 9',
      '… and 3 more.',
      'Checked 12 files and hashed 1.5 KiB.',
      '2 files were marked as damaged and are whole.',
      '5 objects (3 GiB) belong to no file; garbage collection takes them once their time has come.',
      'Found 4 faults: 3 size, 1 missing.',
    ]);
  });
});
