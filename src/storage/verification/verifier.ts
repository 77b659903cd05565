import type { StorageBackend } from '../../core/contracts/storage-backend.js';
import type { Sha256Workers } from '../artifact/sha256-workers.js';
import { recountCharges } from './charge-recount.js';
import { ContentCheck, type CheckedFile } from './content-check.js';
import { Findings, type Finding, type FindingKind } from './findings.js';
import { ObjectDigests } from './object-digest.js';
import { countOrphans, type OrphanCount } from './orphan-count.js';
import { recountReferences, type ReferenceSource } from './reference-recount.js';
import type { VerifiedDatabase } from './verified-database.js';

/** How many files are read at once. */
const PARALLEL = 2;
const BATCH = 500;

export interface VerificationOptions {
  /** Whether bytes are read and hashed, or only looked for and measured. */
  readonly hash: boolean;
  readonly signal: AbortSignal;
  readonly progress?: (percent: number, message: string) => Promise<void>;
}

/** What a verification found. */
export interface VerificationReport {
  /** Nothing is wrong. */
  readonly ok: boolean;
  readonly filesChecked: number;
  readonly bytesHashed: number;
  /** Files that had been marked as damaged and turned out to be whole. */
  readonly recovered: number;
  readonly findingCounts: Partial<Record<FindingKind, number>>;
  /** The first of the findings. */
  readonly findings: readonly Finding[];
  readonly orphans: OrphanCount;
}

/**
 * Checks that what the rows promise is there: references are counted anew, bytes are looked for,
 * measured and hashed. Right beside a running server, too. Files with wrong bytes are marked as
 * damaged, so that nobody is served them and the next upload of the content heals them.
 */
export class Verifier {
  constructor(
    private readonly database: VerifiedDatabase,
    private readonly backend: StorageBackend,
    private readonly sources: readonly ReferenceSource[],
    private readonly workers: Sha256Workers,
  ) {}

  async verify({ hash, signal, progress }: VerificationOptions): Promise<VerificationReport> {
    const findings = new Findings();
    await progress?.(0, 'Counting references');
    await recountReferences(this.database, this.sources, findings, signal);
    await recountCharges(this.database, findings, signal);

    const digests = new ObjectDigests(this.workers);
    const content = new ContentCheck(this.database, this.backend, digests, findings, {
      hash,
      signal,
    });
    let filesChecked = 0;
    for await (const { files, percent } of this.batches()) {
      signal.throwIfAborted();
      await inParallel(files, (file) => content.check(file));
      filesChecked += files.length;
      await progress?.(percent, `Checked ${filesChecked} files`);
    }

    const orphans = await countOrphans(this.database, this.backend, signal);
    return {
      ok: findings.total === 0,
      filesChecked,
      bytesHashed: content.bytesHashed,
      recovered: content.recovered,
      findingCounts: findings.counts,
      findings: findings.told,
      orphans,
    };
  }

  private async *batches(): AsyncGenerator<{ files: CheckedFile[]; percent: number }> {
    const [newest] = await this.database.query<{ id: number | null }>(
      'SELECT max(id) AS id FROM files',
    );
    for (let after = 0; ;) {
      const files = await this.database.query<CheckedFile>(
        `SELECT id, content_hash, file_path, file_size, damaged_at
         FROM files WHERE id > $1 ORDER BY id LIMIT ${BATCH}`,
        [after],
      );
      const last = files.at(-1);
      if (!last) return;
      yield { files, percent: Math.min(99, (100 * last.id) / (newest?.id ?? last.id)) };
      after = last.id;
    }
  }
}

async function inParallel<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const rest = items.values();
  const worker = async () => {
    for (const item of rest) await work(item);
  };
  await Promise.all(Array.from({ length: PARALLEL }, worker));
}
