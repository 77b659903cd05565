import type { AccessPolicy } from '../../core/contracts/access-policy.js';
import type { Artifact, StagedArtifact } from '../../core/contracts/artifact-producer.js';
import type { AuditTrail, Caller } from '../../core/contracts/audit-trail.js';
import type { EventBus, NewEvent } from '../../core/contracts/event-bus.js';
import { ObjectMissing, type StorageBackend } from '../../core/contracts/storage-backend.js';
import type { Tx } from '../../core/contracts/unit-of-work.js';
import type { FileId, Sha256, UserId } from '../../core/ids.js';
import type { Principal } from '../../core/principal.js';
import type { SqlStorageQuotas } from '../quotas/sql-storage-quotas.js';
import {
  countHolds,
  findContents,
  markHealed,
  upsertFiles,
  upsertHolds,
  withdraw,
  type ContentRow,
  type NewContent,
} from './registration-statements.js';

/** One staged content to be registered, and for whom. */
export interface RegistrationEntry {
  readonly staged: StagedArtifact;
  readonly holder: UserId | null;
  /** Who will be answered, where the answer depends on what they could read before. */
  readonly reader: Principal | null;
  /** The request that brought it. */
  readonly correlationId: string | null;
  /** Who brought it: the transaction may be that of several requests. */
  readonly caller: Caller | null;
}

export interface RegisteredArtifact extends Artifact {
  /** The reader could read the content before: only then may it be told that it was there. */
  readonly readableBefore: boolean;
}

/** A registration whose transaction has not committed yet. */
export interface Registered {
  /** For each entry what became of it; those that failed have left no row. */
  readonly outcomes: PromiseSettledResult<RegisteredArtifact>[];
  /** Staged copies that nothing needs once the transaction has committed. */
  readonly leftover: StagedArtifact[];
}

export interface RegisterOptions {
  readonly onFinalizing?: () => void;
  readonly areReferredTo?: boolean;
  readonly areInternal?: boolean;
  readonly meanwhile?: (artifacts: readonly RegisteredArtifact[]) => Promise<void>;
}

/** The entries with the same content; the first one's bytes are stored. */
interface Content {
  readonly staged: StagedArtifact;
  readonly entries: RegistrationEntry[];
  readonly holders: Map<UserId, StagedArtifact>;
}

/**
 * Writes what was staged into the catalogue, each content once whoever else brings it at the same
 * moment.
 *
 * The row comes first: inserting it waits for everybody who is registering, or deleting, the same
 * content. Only then do the bytes become final, and the commit tells of both. So whoever sees the
 * row finds the bytes; a crash in between leaves bytes without a row, which the collector takes. A
 * loser of the race keeps its staged copy until the winner has committed: where the winner rolls
 * back, the loser's insert goes through and its copy is the stored one.
 */
export class Registrar {
  /** The staged copies that have become the stored ones. */
  private readonly final = new WeakSet<StagedArtifact>();

  constructor(
    private readonly backend: StorageBackend,
    private readonly events: EventBus,
    private readonly audit: Pick<AuditTrail, 'record'>,
    private readonly policy: AccessPolicy,
    private readonly quotas: SqlStorageQuotas,
    private readonly holdMs: number,
  ) {}

  /**
   * @param onFinalizing called when the first staged bytes are about to be moved: from then on the
   *   entries cannot be tried again
   * @param areReferredTo counts a reference of the caller's for each entry; none has a holder then
   * @param areInternal publishes no event of them
   * @param meanwhile called once the rows are written, while the bytes become final
   */
  async register(
    tx: Tx,
    entries: readonly RegistrationEntry[],
    { onFinalizing, areReferredTo = false, areInternal = false, meanwhile }: RegisterOptions = {},
  ): Promise<Registered> {
    const contents = groupByContent(entries);
    const readable = await this.readableBefore(tx, entries);
    const rows = await this.insert(tx, contents, areReferredTo);
    const newHolds = await upsertHolds(tx, this.holdMs, holdsOf(contents, rows));
    await countHolds(
      tx,
      newHolds.flatMap(({ file_id: id }) => (rows.byId.get(id)?.is_new ? [] : id)),
    );
    await this.quotas.chargeUploads(
      tx,
      newHolds.map(({ file_id: fileId, user_id: userId, quota }) => ({
        fileId,
        userId,
        quota,
        sizeBytes: Number(rows.byId.get(fileId)?.file_size ?? 0),
      })),
    );
    const uploads = new Set(
      contents.flatMap(({ staged, entries: [first] }) =>
        first && rows.of(staged.sha256).is_new ? [first] : [],
      ),
    );
    const artifactOf = (entry: RegistrationEntry): RegisteredArtifact => {
      const row = rows.of(entry.staged.sha256);
      return toArtifact(entry, row, uploads.has(entry), canRead(entry, row, readable));
    };
    onFinalizing?.();
    const failures = await this.store(tx, contents, rows, () =>
      meanwhile?.(entries.map(artifactOf)),
    );
    const kept = entries.filter(({ staged }) => !failures.has(rows.of(staged.sha256).id));
    if (!areInternal) await this.publish(tx, kept, uploads, rows);
    await this.recordUploads(tx, kept, rows);
    return {
      outcomes: entries.map((entry) => {
        const row = rows.of(entry.staged.sha256);
        const failure = failures.get(row.id);
        if (failure) return { status: 'rejected', reason: failure.reason };
        return { status: 'fulfilled', value: artifactOf(entry) };
      }),
      leftover: entries.map(({ staged }) => staged).filter((staged) => !this.isFinal(staged)),
    };
  }

  /**
   * Whether a staged copy has been moved to where it is stored for good: it is no longer staged,
   * even where the transaction failed.
   */
  isFinal(staged: StagedArtifact): boolean {
    return this.final.has(staged);
  }

  /** Who could read which of the contents that are there, asked before any hold is made. */
  private async readableBefore(
    tx: Tx,
    entries: readonly RegistrationEntry[],
  ): Promise<Map<UserId, Set<FileId>>> {
    const readable = new Map<UserId, Set<FileId>>();
    const asking = entries.filter(({ reader }) => reader);
    if (asking.length === 0) return readable;
    const present = await findContents(
      tx,
      asking.map(({ staged }) => staged.sha256),
    );
    for (const [userId, own] of Map.groupBy(asking, ({ reader }) => reader?.userId)) {
      const reader = own[0]?.reader;
      const ids = own.flatMap(({ staged }) => present.get(staged.sha256) ?? []);
      if (!reader || userId === undefined || ids.length === 0) continue;
      readable.set(userId, await this.policy.readableFiles(tx, reader, ids));
    }
    return readable;
  }

  private async insert(
    tx: Tx,
    contents: readonly Content[],
    areReferredTo: boolean,
  ): Promise<Rows> {
    const written = contents.map(({ staged, entries, holders }): NewContent => ({
      staged,
      fileKey: this.backend.finalKey(staged, staged.sha256),
      // What a user says of a content is that user's and stays with the hold.
      metadata: entries.some(({ holder }) => holder === null) ? staged.metadata : {},
      references: areReferredTo ? entries.length : holders.size,
    }));
    return new Rows(await upsertFiles(tx, this.backend.type, written, areReferredTo));
  }

  /** Makes bytes final where they are new or lost; gives the files for which that failed, and why. */
  private async store(
    tx: Tx,
    contents: readonly Content[],
    rows: Rows,
    meanwhile: () => Promise<void> | undefined,
  ): Promise<Map<FileId, { reason: unknown }>> {
    const healed: { id: FileId; fileKey: string }[] = [];
    const failures = new Map<FileId, { reason: unknown }>();
    const finalized = Promise.all(
      contents.map(async ({ staged }) => {
        const row = rows.of(staged.sha256);
        try {
          if (!row.is_new && (await this.isWhole(row))) return;
          const fileKey = await this.backend.finalize(staged, staged.sha256);
          this.final.add(staged);
          if (!row.is_new) healed.push({ id: row.id, fileKey });
        } catch (reason) {
          failures.set(row.id, { reason });
        }
      }),
    );
    try {
      await meanwhile();
    } finally {
      // Before the transaction ends, however it does: only then is it known what is final.
      await finalized;
    }
    await withdraw(
      tx,
      [...failures.keys()].filter((id) => rows.byId.get(id)?.is_new),
    );
    await markHealed(tx, healed);
    return failures;
  }

  /** Whether a content that is there can be relied on: nobody may be told so of lost bytes. */
  private async isWhole(row: ContentRow): Promise<boolean> {
    if (row.is_damaged) return false;
    try {
      return (await this.backend.info(row.file_path)).sizeBytes === Number(row.file_size);
    } catch (error) {
      if (error instanceof ObjectMissing) return false;
      throw error;
    }
  }

  /** What is registered without a holder belongs to a version, whose record tells of it. */
  private async recordUploads(
    tx: Tx,
    entries: readonly RegistrationEntry[],
    rows: Rows,
  ): Promise<void> {
    await this.audit.record(
      tx,
      entries.flatMap(({ staged: { sha256, sizeBytes }, holder, caller }) =>
        holder === null
          ? []
          : {
              action: 'file.uploaded',
              resourceType: 'file',
              resourceId: String(rows.of(sha256).id),
              after: { sha256, sizeBytes, holder },
              caller,
            },
      ),
    );
  }

  /** @param uploads of the copies of each content that is new, the one that brought it */
  private async publish(
    tx: Tx,
    entries: readonly RegistrationEntry[],
    uploads: ReadonlySet<RegistrationEntry>,
    rows: Rows,
  ): Promise<void> {
    if (entries.length === 0) return;
    const events = entries.map((entry): NewEvent => {
      const { sha256, sizeBytes } = entry.staged;
      const fileId = rows.of(sha256).id;
      return {
        type: uploads.has(entry) ? 'file.uploaded' : 'file.deduplicated',
        subject: `file/${fileId}`,
        data: { fileId, sha256, sizeBytes },
        correlationId: entry.correlationId,
      };
    });
    await this.events.publishAll(tx, events);
  }
}

/** The rows of the contents being registered. */
class Rows {
  readonly byId: ReadonlyMap<FileId, ContentRow>;
  private readonly byDigest: ReadonlyMap<Sha256, ContentRow>;

  constructor(rows: readonly ContentRow[]) {
    this.byId = new Map(rows.map((row) => [row.id, row]));
    this.byDigest = new Map(rows.map((row) => [row.content_hash, row]));
  }

  of(digest: Sha256): ContentRow {
    const row = this.byDigest.get(digest);
    if (!row) throw new Error(`No row was written for ${digest}`);
    return row;
  }
}

function groupByContent(entries: readonly RegistrationEntry[]): Content[] {
  const contents = new Map<Sha256, Content>();
  for (const entry of entries) {
    const { staged, holder } = entry;
    let content = contents.get(staged.sha256);
    if (!content) {
      contents.set(staged.sha256, (content = { staged, entries: [], holders: new Map() }));
    }
    content.entries.push(entry);
    if (holder !== null) content.holders.set(holder, staged);
  }
  return [...contents.values()];
}

function holdsOf(contents: readonly Content[], rows: Rows) {
  return contents.flatMap(({ staged, holders }) =>
    [...holders].map(([userId, said]) => ({
      fileId: rows.of(staged.sha256).id,
      userId,
      staged: said,
    })),
  );
}

function canRead(
  { reader }: RegistrationEntry,
  row: ContentRow,
  readable: ReadonlyMap<UserId, ReadonlySet<FileId>>,
): boolean {
  return reader !== null && (readable.get(reader.userId)?.has(row.id) ?? false);
}

function toArtifact(
  { staged }: RegistrationEntry,
  row: ContentRow,
  isUpload: boolean,
  readableBefore: boolean,
): RegisteredArtifact {
  const { sha256, sizeBytes } = staged;
  return { fileId: row.id, sha256, sizeBytes, deduplicated: !isUpload, readableBefore };
}
