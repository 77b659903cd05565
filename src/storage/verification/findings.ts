import type { HolderType } from '../../core/contracts/storage-quotas.js';

/** What can be wrong with a file. */
export type FileFindingKind = 'reference-count' | 'missing' | 'size' | 'content' | 'unreadable';

/** Something of a file that is not as it should be. */
interface FileFinding {
  readonly kind: FileFindingKind;
  readonly fileId: number;
  readonly sha256: string;
  readonly path: string;
  /** What should be there, such as a count, a size in bytes or a SHA-256. */
  readonly expected: string;
  /** What is there. */
  readonly actual: string;
}

/** Somebody with a quota holds more bytes than are charged. */
interface ChargeFinding {
  readonly kind: 'storage-charge';
  readonly holderType: HolderType;
  readonly holderId: number;
  /** The bytes that are held. */
  readonly expected: string;
  /** The bytes that are charged. */
  readonly actual: string;
}

/** One thing that is not as it should be. */
export type Finding = FileFinding | ChargeFinding;
export type FindingKind = Finding['kind'];

/** How many findings are told one by one; more are only counted. */
const MAX_TOLD = 1000;

/** Gathers findings, without growing with their number. */
export class Findings {
  readonly told: Finding[] = [];
  private readonly byKind = new Map<FindingKind, number>();

  add(finding: Finding): void {
    this.byKind.set(finding.kind, (this.byKind.get(finding.kind) ?? 0) + 1);
    if (this.told.length < MAX_TOLD) this.told.push(finding);
  }

  get counts(): Partial<Record<FindingKind, number>> {
    return Object.fromEntries(this.byKind);
  }

  get total(): number {
    return [...this.byKind.values()].reduce((total, count) => total + count, 0);
  }
}
