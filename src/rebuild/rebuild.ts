import { CannotStart } from '../core/cannot-start.js';
import type { StorageBackend } from '../core/contracts/storage-backend.js';
import type { UnitOfWork } from '../core/contracts/unit-of-work.js';
import type { DatasetId } from '../core/ids.js';
import type { DatasetContent, RecordKind, RecordName } from '../records/record-format.js';
import { RecordStore } from '../records/record-store.js';
import { Sweep } from '../versioning/sweep.js';
import { ContentRestoration } from './content-restoration.js';
import { HistoryPlan } from './history-plan.js';
import { Losses, type Loss, type LossKind } from './losses.js';
import { RebuildDatabase } from './rebuild-database.js';
import { SubjectRestoration } from './subject-restoration.js';
import { VersionRestoration } from './version-restoration.js';

export interface RebuildOptions {
  /** Whether every content is read and proved, or its name believed; documents always are. */
  readonly hash: boolean;
  /** Come to an end although the storage lacks something. */
  readonly acceptLosses: boolean;
  /** Whose records count; may be left out where there is only one. */
  readonly origin: string | null;
  readonly signal: AbortSignal;
  /** Told in a few words what is being done. */
  readonly progress: (message: string) => void;
}

/** What a rebuild brought back, and what it could not. */
export interface RebuildReport {
  /** Whether the database can be served: nothing grave is lost, or that is accepted. */
  readonly finished: boolean;
  readonly origin: string;
  readonly objects: number;
  readonly users: number;
  readonly groups: number;
  readonly datasets: number;
  readonly versions: number;
  readonly lossCounts: Readonly<Partial<Record<LossKind, number>>>;
  /** The first of each kind. */
  readonly losses: readonly Loss[];
}

/**
 * Makes a database anew from what lies in the storage: contents, overlay documents, records. Every
 * step can be repeated, so that a rebuild that was killed is run again and goes on.
 */
export class Rebuild {
  readonly #losses = new Losses();
  readonly #store: RecordStore;
  readonly #database: RebuildDatabase;
  readonly #contents: ContentRestoration;
  readonly #subjects: SubjectRestoration;
  readonly #plan: HistoryPlan;
  readonly #versions: VersionRestoration;
  readonly #sweep: Sweep;

  constructor(
    private readonly unitOfWork: UnitOfWork,
    backend: StorageBackend,
  ) {
    this.#store = new RecordStore(backend);
    this.#database = new RebuildDatabase(unitOfWork);
    this.#contents = new ContentRestoration(unitOfWork, backend, this.#losses);
    this.#subjects = new SubjectRestoration(unitOfWork, this.#store, this.#losses);
    this.#plan = new HistoryPlan(unitOfWork, backend, this.#losses);
    this.#versions = new VersionRestoration(unitOfWork, backend, this.#plan, this.#subjects);
    // References are counted at the end, and nobody reads what was removed a moment ago.
    const uncounted = { releaseReferences: () => Promise.resolve() };
    this.#sweep = new Sweep(unitOfWork, uncounted, { REMOVAL_GRACE: 0 });
  }

  /** @throws CannotStart where there is nothing to rebuild from, or the database is not empty */
  async run(options: RebuildOptions): Promise<RebuildReport> {
    const { signal, progress } = options;
    const { origin, newest } = await this.#newestRecords(options.origin);
    const again = await this.#database.begin(origin);
    if (again) progress('Going on with the rebuild that did not come to its end');

    const objects = await this.#contents.restore(options.hash, signal, (count, sizeBytes) =>
      progress(`Contents: ${count} objects, ${Math.round(sizeBytes / 2 ** 20)} MiB`),
    );
    const namesOf = (kind: RecordKind): RecordName[] =>
      [...(newest.get(kind) ?? [])]
        .map(([id, sequence]) => ({ origin, kind, id, sequence }))
        .sort((a, b) => a.id - b.id);
    let [users, groups, datasets, versions] = [0, 0, 0, 0];
    for (const name of namesOf('user')) {
      signal.throwIfAborted();
      if (await this.#subjects.user(name)) progress(`Users: ${(users += 1)}`);
    }
    for (const name of namesOf('group')) {
      signal.throwIfAborted();
      if (await this.#subjects.group(name)) progress(`Groups: ${(groups += 1)}`);
    }
    for (const name of namesOf('dataset')) {
      signal.throwIfAborted();
      const stored = await this.#dataset(name, options);
      if (stored === null) continue;
      datasets += 1;
      versions += stored;
    }
    await this.#database.recount((files) => progress(`References: ${files} files recounted`));
    await this.#nameLostContents();

    const finished = this.#losses.grave === 0 || options.acceptLosses;
    if (finished) {
      const all = (['dataset', 'group', 'user'] as const).flatMap(namesOf);
      await this.#database.finish(origin, all);
    }
    return {
      finished,
      origin,
      objects,
      users,
      groups,
      datasets,
      versions,
      lossCounts: Object.fromEntries(this.#losses.counts),
      losses: this.#losses.named,
    };
  }

  /** @returns how many versions it has; null where nothing is left of it, or too little */
  async #dataset(
    name: RecordName,
    { signal, progress }: Pick<RebuildOptions, 'signal' | 'progress'>,
  ): Promise<number | null> {
    const id = name.id as DatasetId;
    const content = await this.#subjects.read<DatasetContent>(name);
    if (!content) return null;
    const isWhole = await this.unitOfWork.read((tx) =>
      tx.query('SELECT FROM dataset_pointers WHERE dataset_id = $1 LIMIT 1', [id]),
    );
    if (isWhole.length === 0) {
      const label = `Dataset ${id} (${content.name})`;
      const planned = await this.#plan.make(id, content, (documents) => {
        signal.throwIfAborted();
        progress(`${label}: ${documents} documents read`);
      });
      if (!planned) return null;
      await this.unitOfWork.run((tx) => this.#subjects.dataset(tx, id, content));
      let stored = 0;
      await this.#versions.restore(id, signal, () => {
        progress(`${label}: ${(stored += 1)} versions stored`);
      });
      // Of removed versions only that stays which others are read from, as it was before.
      await this.#sweep.run(id, signal);
      await this.unitOfWork.run((tx) => this.#subjects.belongings(tx, id, content));
    }
    const [row] = await this.unitOfWork.read((tx) =>
      tx.query<{ count: number }>(
        `SELECT count(*)::integer AS count FROM dataset_versions
         WHERE dataset_id = $1 AND status = 'committed'`,
        [id],
      ),
    );
    return row?.count ?? 0;
  }

  /** The newest record of each subject, of one origin. */
  async #newestRecords(
    wanted: string | null,
  ): Promise<{ origin: string; newest: Map<RecordKind, Map<number, number>> }> {
    const origins = new Map<string, Map<RecordKind, Map<number, number>>>();
    for await (const { origin, kind, id, sequence } of this.#store.names()) {
      const kinds = origins.get(origin) ?? new Map<RecordKind, Map<number, number>>();
      const sequences = kinds.get(kind) ?? new Map<number, number>();
      sequences.set(id, Math.max(sequence, sequences.get(id) ?? 0));
      origins.set(origin, kinds.set(kind, sequences));
    }
    const names = [...origins.keys()].sort();
    const [only] = wanted === null ? names : [wanted];
    const newest = only === undefined ? undefined : origins.get(only);
    if (only === undefined || !newest) {
      throw new CannotStart(
        `The storage has no records${wanted === null ? '' : ` of ${wanted}`}: there is nothing to rebuild from.`,
      );
    }
    if (wanted === null && names.length > 1) {
      const counted = names.map(
        (name) => `${name} with ${origins.get(name)?.get('dataset')?.size ?? 0} datasets`,
      );
      throw new CannotStart(
        `The storage has records of several databases: ${counted.join(', ')}. Choose one with --origin.`,
      );
    }
    return { origin: only, newest };
  }

  /** Contents that versions refer to and that have no bytes. */
  async #nameLostContents(): Promise<void> {
    for (let after = 0; ;) {
      const lost = await this.unitOfWork.read((tx) =>
        tx.query<{ id: number; hash: string; path: string; dataset: number; number: number }>(
          `SELECT f.id, f.content_hash AS hash, e.component_name AS path, v.dataset_id AS dataset,
             v.version_number AS number
           FROM (SELECT id, content_hash FROM files WHERE damaged_at IS NOT NULL AND id > $1
             ORDER BY id LIMIT 1000) f
           CROSS JOIN LATERAL (SELECT * FROM dataset_version_files e WHERE e.file_id = f.id
             ORDER BY e.version_id LIMIT 1) e
           JOIN dataset_versions v ON v.id = e.version_id ORDER BY f.id`,
          [after],
        ),
      );
      for (const { hash, path, dataset, number } of lost) {
        this.#losses.add(
          'content',
          `The content ${hash} (${JSON.stringify(path)} in version ${number} of dataset ${dataset}) is not in the storage; uploading it again heals it.`,
        );
      }
      const last = lost.at(-1);
      if (!last) return;
      after = last.id;
    }
  }
}
